"""In: small fleets. Out: that they are the same for the same seed, and that what they call an incident is one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.spikes.clock import DAY, START_MINUTE, place
from benchmarks.spikes.demand import use_case
from benchmarks.spikes.effects import CHANGES, Effect, sized
from benchmarks.spikes.fleet import Fleet, fleet
from benchmarks.spikes.labels import MEASURES, NAMES
from benchmarks.spikes.ours import messages
from benchmarks.spikes.traffic import CALLS, COST, ERRORS, INPUT, OUTPUT, Prices, draw
from schemas.tallies import TALLIES


@pytest.fixture(scope="module")
def small() -> Fleet:
    return fleet(21, 6, 4)


def test_the_same_seed_makes_the_same_fleet(small: Fleet) -> None:
    again = fleet(21, 6, 4)
    assert small.incidents == again.incidents
    assert small.plans == again.plans
    np.testing.assert_array_equal(small.sums, again.sums)
    np.testing.assert_array_equal(small.arrival, again.arrival)


def test_another_seed_makes_another_fleet(small: Fleet) -> None:
    assert fleet(22, 6, 4).incidents != small.incidents


def test_rows_come_in_the_order_of_their_arrival_and_never_before_their_minute(small: Fleet) -> None:
    assert (np.diff(small.arrival) >= 0).all()
    assert (small.arrival >= small.minute).all()
    late = small.arrival > small.minute + 2
    assert 0.005 < late.mean() < 0.1
    assert (small.sums >= 0).all()
    assert (small.sums[:, ERRORS] <= small.sums[:, CALLS]).all()


def test_an_incident_costs_what_its_label_says(small: Fleet) -> None:
    """Its use case costs at least twice what is usual, and in its first hours more than the four weeks' mean."""
    usd = small.sums[:, COST] / 1e9
    counted = [one for one in small.incidents if one.counts]
    assert counted
    for one in counted:
        mine = small.team == one.team
        span = mine & (small.minute >= one.start) & (small.minute < min(one.start + 120, one.end))
        hours = min(120, one.end - one.start) / 60
        assert one.ratio >= 2
        assert usd[span].sum() / hours >= 0.8 * min(one.excess, 5)


def test_messages_hold_every_row_once_that_came_in_time(small: Fleet) -> None:
    ends, sums, rows = [], 0, 0
    for end, table in messages(small):
        ends.append(end)
        if table is not None:
            rows += table.num_rows
            sums += int(np.asarray(table["cost_nanousd"]).sum())
            assert table.schema.equals(TALLIES)
            assert int(np.asarray(table["minute"]).max()) - START_MINUTE < end
    told = small.arrival < ends[-1]
    assert rows == told.sum()
    assert sums == small.sums[told, COST].sum()
    assert ends == sorted(set(ends))


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_costs_what_it_was_sized_for(kind: str) -> None:
    random = np.random.default_rng(5)
    fitted, tries = None, 0
    while fitted is None:
        case = use_case(0, "w", place("Europe/Berlin", 4), 20_000.0, random)
        fitted, tries = sized(kind, case.usual, 0.6, random), tries + 1
        assert tries < 50
    before = draw(case.usual, Prices(()), random)
    effect = Effect(kind, 0, 28 * 1_440, fitted[0], 0, fitted[1])
    changed = case.usual.pick(np.arange(28 * DAY))
    effect.apply(changed)
    after = draw(changed, Prices(()), random)
    grown = after.sums.sum(axis=0) / before.sums.sum(axis=0)
    # Shares of the cache and of a class never move by less than what a person would call a change.
    least = 1.5 if kind not in ("cache_collapse", "model_switch") else 1.2
    assert least < grown[COST] < 3.5
    by_call = grown / grown[CALLS]
    assert (by_call[INPUT] > 1.3) == (kind in ("prompt_bloat", "context_resent"))
    assert (by_call[OUTPUT] > 1.3) == (kind == "output_growth")
    assert (grown[CALLS] > 1.3) == (kind in ("retry_storm", "level_shift"))
    assert (by_call[ERRORS] > 3) == (kind == "retry_storm")


def test_every_kind_has_a_measure_and_a_name() -> None:
    assert set(MEASURES) == set(NAMES)
    assert set(CHANGES) <= set(MEASURES)

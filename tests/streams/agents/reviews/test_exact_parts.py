"""The exact parts against brute force: the split of a change in all orders, the cut of a series, its usual by hour."""

from __future__ import annotations

from itertools import permutations
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from streams.agents.reviews.comparison import compare
from streams.agents.reviews.hours import Hours, usual
from streams.agents.reviews.parts import FACTORS, Blend, Factor, split_change
from streams.agents.reviews.questions import Cell
from streams.agents.reviews.shift import deviations, split
from streams.agents.reviews.sums import Sums, whole
from tests.streams.agents.reviews.months import START, Hour, priced

counts = st.integers(0, 5_000)


@st.composite
def sums(draw: st.DrawFn) -> Sums:
    fresh, cached, output = draw(counts), draw(counts), draw(counts)
    costs = [tokens * draw(st.integers(0, 20)) for tokens in (fresh, cached, output)]
    other = draw(st.sampled_from([0, 0, 777]))
    return Sums(draw(st.integers(1, 50)), fresh + cached, cached, output, sum(costs) + other, *costs)


models = st.dictionaries(st.sampled_from(["a", "b", "c"]), sums(), min_size=1)


@hypothesis_settings(max_examples=30)
@given(models, models)
def test_the_parts_are_the_mean_over_all_orders_and_add_up(before: dict[str, Sums], after: dict[str, Sums]) -> None:
    blend = Blend(before, after)
    wanted = dict.fromkeys(FACTORS, 0.0)
    orders = list(permutations(FACTORS))
    costs: dict[frozenset[Factor], float] = {}
    for order in orders:
        changed: frozenset[Factor] = frozenset()
        for factor in order:
            for one in (changed, changed | {factor}):
                costs.setdefault(one, blend.cost(one))
            wanted[factor] += (costs[changed | {factor}] - costs[changed]) / len(orders)
            changed |= {factor}
    scale = 1 + whole(before).cost_per_call + whole(after).cost_per_call
    parts = split_change(before, after)
    assert [part.factor for part in parts] == list(FACTORS)
    for part in parts:
        assert part.delta == pytest.approx(wanted[part.factor], abs=1e-6 * scale)
    change = whole(after).cost_per_call - whole(before).cost_per_call
    assert sum(part.delta for part in parts) == pytest.approx(change, abs=1e-9 * scale)


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=40), st.data())
def test_the_cut_is_where_the_deviations_are_least(values: list[float], data: st.DataObject) -> None:
    logs = np.array(values)
    first = data.draw(st.integers(1, len(values) - 2))
    last = data.draw(st.integers(first, len(values) - 1))

    def deviation(part: list[float]) -> float:
        middle = median(part) if part else 0.0
        return sum(abs(value - middle) for value in part)

    whole_cost = {at: deviation(values[:at]) + deviation(values[at:]) for at in range(first, last + 1)}
    assert whole_cost[split(logs, first, last)] == pytest.approx(min(whole_cost.values()), abs=1e-7)
    assert deviations(values) == pytest.approx([deviation(values[:at]) for at in range(len(values) + 1)], abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(-3, 3)), min_size=1, max_size=60, unique_by=lambda one: one[0])
)
def test_the_usual_is_the_greater_median_of_the_same_time_of_day_and_week(points: list[tuple[int, float]]) -> None:
    points.sort()
    hours = Hours(np.array([at for at, _ in points]), np.array([value for _, value in points]))
    before = np.arange(len(points)) <= len(points) // 2
    known = [one for one, is_before in zip(points, before, strict=True) if is_before]

    def near(at: int, circle: int) -> list[float]:
        return [value for other, value in known if (other - at) % circle in (0, 1, circle - 1)]

    for (at, _), found in zip(points, usual(hours, before), strict=True):
        daily, weekly = near(at, 24), near(at, 168)
        wanted = median(daily) if len(daily) >= 3 else median(value for _, value in known)
        if len(weekly) >= 6:
            wanted = max(wanted, median(weekly))
        assert found == pytest.approx(wanted)


def test_a_comparison_counts_calls_of_the_last_week_as_a_month() -> None:
    def at(hour: int, **more: float | str) -> Cell:
        return priced(START + hour, Hour(10, **more), 10)  # type: ignore[arg-type]

    cells = [at(hour) for hour in range(240)] + [at(hour, input_tokens=6_000, version="v2") for hour in range(240, 260)]
    found = compare(cells, START + 241, START + 260, "step")
    assert found is not None
    # The version came an hour before the split, so that is where it began.
    assert (found.version, found.since_hour - START) == ("v2", 240)
    assert found.calls_month == 10 * 24 * 30
    assert found.before.cost_per_call == 1_000 * 3_000 + 1_000 * 300 + 300 * 15_000
    assert found.after.cost_per_call == 3_000 * 3_300 + 300 * 15_000
    assert found.extra == round((found.after.cost_per_call - found.before.cost_per_call) * found.calls_month)
    assert found.extra_so_far == 200 * (found.after.cost_per_call - found.before.cost_per_call)
    (carrier,) = found.versions
    assert (carrier.name, carrier.share, carrier.before) == ("v2", 1.0, None)

"""State that was lost comes back as it was: from retained tallies, from history before them, and from what was told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.base import us_moment
from streams.agents.rebuild import HistoryMissing, HistoryUneven
from tests.streams.agents.rebuilt_world import DAILY, MESSAGES, MINUTE, MONTHLY, NOON, Resends, World, run, traffic
from tests.streams.agents.samples import NANO, budget, budget_row, cell, control, table, us


@settings(max_examples=6)
@given(st.data())
def test_a_rebuilt_shard_goes_on_as_if_nothing_had_happened(data: st.DataObject) -> None:
    """Lost after any message, with any part of the tallies gone, and an adjustment at any time."""
    adjusted_at = data.draw(st.integers(0, MESSAGES - 1))
    lost_at = data.draw(st.integers(1, MESSAGES - 1))
    low = data.draw(st.integers(0, lost_at))
    straight, straight_totals = run(adjusted_at)
    broken, broken_totals = run(adjusted_at, lost_at, low)
    assert len(broken.topics.tallies) == MESSAGES
    assert broken.seen() == straight.seen()
    assert broken_totals == straight_totals
    identities = [(alert.alert_id, alert.revision) for alert in broken.topics.alerts]
    assert len(set(identities)) == len(identities) >= 2


def test_what_was_never_told_is_told_once_by_the_rebuild() -> None:
    world = World()
    world.call("50", NOON)
    world.call("1", NOON, partition=1)
    keeper = world.keeper()
    world.work(keeper, world.topics.tallies)
    before = len(world.topics.alerts)
    world.call("40", NOON + MINUTE)
    world.lose()
    world.rebuild()
    told = [(alert.budget_id, alert.level) for alert in world.topics.alerts[before:]]
    assert told == [("m", "warning")]
    assert world.topics.alerts[-1].occurred_at.minute == 1, "dated by the tally that tipped it, as always"
    world.work(world.keeper(), [])
    assert len(world.topics.alerts) == before + 1


def test_a_span_is_rebuilt_from_its_beginning() -> None:
    """However long ago that was, and whatever of its tallies is gone."""
    span = {
        "starts_at": us_moment(us("2026-02-01T00:00:00+00:00")),
        "ends_at": us_moment(us("2027-02-01T00:00:00+00:00")),
    }
    world = World()
    world.budgets = (MONTHLY, DAILY, budget("s", "1000", period="span", **span))
    world.control = control(*world.budgets)
    for at_us in (us("2026-03-10T12:00:00+00:00"), NOON):
        world.call("10", at_us)
        world.call("1", at_us, partition=1)
    world.work(world.keeper(), world.topics.tallies)
    before = world.topics.statuses["s|2026-02-01T00:00:00+00:00"]
    world.lose(low=2)
    world.rebuild()
    after = world.topics.statuses["s|2026-02-01T00:00:00+00:00"]
    assert json.loads(after)["used"] == json.loads(before)["used"] == 22 * NANO


def test_a_limit_that_was_changed_meanwhile_is_told() -> None:
    world = World()
    world.call("85", NOON)
    world.work(world.keeper(), world.topics.tallies)
    world.control = control(budget("m", "200"), DAILY, position=7)
    world.lose()
    world.rebuild()
    assert [(a.budget_id, a.level, a.state, a.revision) for a in world.topics.alerts][-1] == (
        "m",
        "warning",
        "resolved",
        1,
    )


def test_history_that_has_not_caught_up_is_refused() -> None:
    world = World()
    traffic(world, 6)
    world.work(world.keeper(), world.topics.tallies)
    world.lose(low=5)
    with pytest.raises(HistoryMissing, match=r"partition 0 to 1 of \d+.*streamgauge sink"):
        world.rebuild(reached={0: 1, 1: 1})


def resent() -> World:
    """Calls of 20 and 10 dollars, each told twice: the second 20 before the tallies that are left, the second 10 among
    them. Then 5 more.
    """
    world = World()
    for usd, partition in (("20", 0), ("20", 1), ("10", 0), ("10", 1), ("5", 0)):
        world.call(usd, NOON, partition=partition)
    world.resends = Resends({(1, 0), (1, 1)})
    world.work(world.keeper(), world.topics.tallies)
    assert world.used() == 65
    world.lose(low=3)
    return world


def correct(world: World) -> None:
    """What `streamgauge reconcile --correct` says of both."""
    rows = [budget_row(one, NOON, "-30", calls=-2) for one in (MONTHLY, DAILY)]
    world.adjustments.append(table([cell(NOON, calls=-2, cost_nanousd=-30 * NANO), *rows]))
    world.resends.corrected = True


def test_a_resend_that_nobody_has_corrected_is_refused_and_counts_once_after_its_correction() -> None:
    world = resent()
    with pytest.raises(HistoryUneven, match=r"by 1 events \(partition 1, offsets 0 to 1: -1\).*reconcile --correct"):
        world.rebuild()
    assert not world.topics.state, "nothing was written"
    correct(world)
    assert world.rebuild().refused == (3, 7 * NANO)
    world.work(world.keeper(), [])
    assert world.used() == 35


def test_a_resend_that_can_never_be_corrected_counts_once_where_history_answered_for_it() -> None:
    world = resent()
    assert world.rebuild(accept_differences=True).uneven == 1
    world.work(world.keeper(), [])
    assert world.used() == 45, "the second 20 is gone, the second 10 is still there"


def test_without_history_budgets_say_that_they_are_not_whole() -> None:
    world = World()
    traffic(world, 6)
    world.work(world.keeper(), world.topics.tallies)
    world.lose(low=5)
    world.rebuild(history=False)
    world.call("1", NOON + 26 * 60 * MINUTE)
    world.work(world.keeper(), world.topics.tallies[-1:])
    status = json.loads(world.topics.statuses["m|2026-11-01T00:00:00+00:00"])
    assert "deleted before" in status["state_reason"]

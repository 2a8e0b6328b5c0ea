"""A budget that is made in mid-period counts the whole period, once, whatever dies when."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.budgets import Scope
from streams.agents.history import BaseQuestion
from tests.streams.agents.base.world import World
from tests.streams.agents.samples import NANO, budget, us

NOON = us("2026-11-20T12:00:00+00:00")
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
OLD, NEW = budget("old", "1000"), budget("new", "100")


def in_mid_month() -> World:
    """Budget `new` appears after four calls of $30 on two partitions, the third of which is idle for ever."""
    world = World({0: OLD, 1: NEW}, inputs=3, now_us=NOON)
    world.control = 1
    world.idle(2, None)
    for number in range(4):
        world.call(number % 2, NOON - (8 - number) * DAY, "30")
    world.settle()
    world.control = 2
    return world


def heard(world: World) -> None:
    """Every partition is enriched with the new budget."""
    world.call(0, NOON, "5")
    world.idle(1, NOON - DAY)
    world.idle(2, None)


def test_until_the_history_answers_the_reason_says_what_is_waited_for() -> None:
    world = in_mid_month()
    world.settle()
    assert "counting starts" in world.status("new")["state_reason"]
    heard(world)
    world.settle()
    assert world.status("new")["state"] == "unknown"
    question = world.question()
    assert question is not None
    assert question.before == {0: 3, 1: 2, 2: 0}
    assert [(one.budget_id, one.selectors, one.since) for one in question.wanted] == [
        ("new", {"team_id": ("search",)}, 1)
    ]
    assert question.wanted[0].first_minute == (NOON - 2 * MINUTE - 35 * DAY) // MINUTE
    book = world.shard.budgets
    book.bases.wait(book, question, "ClickHouse has partition 0 to offset 1 of 3", renew=False)
    world.settle()
    assert world.status("new")["state_reason"].endswith("figure: ClickHouse has partition 0 to offset 1 of 3")
    assert world.question() is None, "the same question stands"
    book.bases.wait(book, question, "resends", renew=True)
    world.settle()
    assert world.question() is not None, "asked anew"


def test_the_answer_makes_the_period_whole_and_tells_late_with_the_right_date() -> None:
    world = in_mid_month()
    heard(world)
    world.settle()
    question = world.question()
    assert question is not None
    # What comes between question and answer stays.
    world.call(1, NOON + MINUTE, "7")
    world.settle()
    assert [alert for alert in world.alerts if alert.budget_id == "new"] == []
    world.shard.budgets.bases.give(question, world.answer(question))
    world.settle()
    status = world.status("new")
    assert (status["used"], status["calls"], status["state"], status["state_reason"]) == (132 * NANO, 6, "hard", None)
    told = {alert.level: alert for alert in world.alerts if alert.budget_id == "new"}
    # 30, 60, 90 on the 14th, 120 on the 15th.
    assert [told[name].occurred_at.isoformat()[:16] for name in ("warning", "soft", "hard")] == [
        "2026-11-14T12:15",
        "2026-11-15T12:15",
        "2026-11-15T12:15",
    ]
    assert {(alert.state, alert.historical) for alert in told.values()} == {("firing", False)}
    assert world.status("old")["used"] == 132 * NANO
    world.ask_and_answer()
    world.crash()
    world.settle()
    assert world.question() is None, "asked once"
    world.call(0, NOON + 2 * MINUTE, "1")
    world.settle()
    assert world.status("new")["used"] == 133 * NANO


def test_a_crash_between_answer_and_commit_asks_again_and_counts_once() -> None:
    world = in_mid_month()
    heard(world)
    world.settle()
    question = world.question()
    assert question is not None
    world.shard.budgets.bases.give(question, world.answer(question))
    lost = world.settle(commit=False)
    assert lost is not None
    assert lost.alerts
    world.crash()
    world.call(0, NOON + MINUTE, "1")
    world.settle()
    assert world.status("new")["state"] == "unknown"
    world.ask_and_answer()
    assert world.status("new")["used"] == 126 * NANO
    assert len([alert for alert in world.alerts if alert.budget_id == "new"]) == 3


def test_a_level_that_fired_by_what_was_counted_is_dated_anew() -> None:
    world = in_mid_month()
    world.call(0, NOON, "85")
    world.idle(1, NOON)
    world.idle(2, None)
    world.settle()
    assert [(a.level, a.state) for a in world.alerts if a.budget_id == "new"] == [("warning", "firing")]
    world.ask_and_answer()
    told = [(a.level, a.state, a.revision, a.occurred_at.day) for a in world.alerts if a.budget_id == "new"]
    assert told[1:] == [("warning", "updated", 1, 14), ("soft", "firing", 0, 15), ("hard", "firing", 0, 15)]


def test_new_prices_count_once_whoever_knew_the_budget() -> None:
    world = in_mid_month()
    world.control = 1
    world.reprice(world.calls[0], "0.5")
    world.settle()
    world.control = 2
    heard(world)
    world.reprice(world.calls[1], "0.25")
    world.settle()
    question = world.question()
    assert question is not None
    assert question.adjusted == 2
    world.reprice(world.calls[2], "4")
    world.settle()
    world.shard.budgets.bases.give(question, world.answer(question))
    world.settle()
    assert world.status("new")["used"] == int(Decimal("129.75") * NANO)


def test_a_scope_that_goes_and_comes_again_counts_the_time_between() -> None:
    other = budget("new", "100", scope=Scope(team="search", stage="production"))
    world = World({0: NEW, 3: other, 6: NEW}, inputs=1, now_us=NOON)
    for control, at_us in ((1, NOON - 3 * DAY), (4, NOON - 2 * DAY), (7, NOON - DAY)):
        world.control = control
        world.call(0, at_us, "10")
        world.settle()
        world.question()
    world.ask_and_answer()
    world.ask_and_answer()
    world.crash()
    world.settle()
    world.ask_and_answer()
    assert (world.status("new")["used"], world.status("new")["state"]) == (30 * NANO, "ok")


def test_an_answer_to_what_a_scope_missed_before_it_went_does_not_stand_for_its_coming_again() -> None:
    other = budget("new", "100", scope=Scope(team="search", stage="production"))
    world = World({0: OLD, 1: NEW, 3: other, 6: NEW}, inputs=1, now_us=NOON, control=1)
    for control, hour, usd in ((1, 9, "5"), (2, 8, "10")):
        world.control = control
        world.call(0, NOON - hour * HOUR, usd)
        world.settle()
    question = world.question()
    assert question is not None
    for control, hour, usd in ((4, 7, "20"), (7, 6, "40")):
        world.control = control
        world.call(0, NOON - hour * HOUR, usd)
        world.settle()
    world.shard.budgets.bases.give(question, world.answer(question))
    world.settle()
    assert world.status("new")["state"] == "unknown"
    world.ask_and_answer()
    assert (world.status("new")["used"], world.status("new")["state"]) == (75 * NANO, "ok")


def test_tallies_that_were_lost_are_supplied() -> None:
    world = World({0: NEW}, inputs=1, now_us=NOON, control=1)
    world.call(0, NOON - 3 * HOUR, "10")
    world.settle()
    for _ in range(2):
        world.lose(0, NOON - 2 * HOUR, "20")
    world.call(0, NOON, "1")
    world.settle()
    assert "deleted" in world.status("new")["state_reason"]
    world.ask_and_answer()
    assert (world.status("new")["used"], world.status("new")["state_reason"]) == (51 * NANO, None)


Step = st.one_of(
    st.tuples(st.just("call"), st.integers(0, 1), st.integers(-3, 3)),
    st.tuples(st.just("reprice"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("settle"), st.booleans(), st.just(0)),
    st.tuples(st.just("crash"), st.just(0), st.just(0)),
    st.tuples(st.just("ask"), st.just(0), st.just(0)),
    st.tuples(st.just("answer"), st.booleans(), st.just(0)),
    st.tuples(st.just("apply"), st.integers(1, 2), st.just(0)),
)


def take(world: World, step: tuple[str, int, int], asked: list[BaseQuestion]) -> None:
    kind, one, two = step
    if kind == "call":
        world.call(one, NOON + len(world.calls) * HOUR + two * DAY, "1.5")
    elif kind == "reprice" and world.calls:
        world.reprice(world.calls[one % len(world.calls)], "0.25")
    elif kind == "settle":
        world.settle(commit=bool(one))
        if not one:
            world.crash()
    elif kind == "crash":
        world.crash()
    elif kind == "ask":
        asked += [] if (question := world.question()) is None else [question]
    elif kind == "answer" and asked:
        world.shard.budgets.bases.give(asked[-1], world.answer(asked[-1]))
    elif kind == "apply":
        world.control = min(3, max(world.control, one + 1))


@settings(max_examples=25, deadline=None)
@given(st.lists(Step, max_size=25), st.lists(Step, max_size=25))
def test_totals_equal_the_sum_of_all_calls_and_prices(
    before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]
) -> None:
    """Whatever the order of calls, prices, questions, answers, commits and crashes."""
    budgets = (OLD, NEW, budget("third", "70", period="week"))
    world = World(dict(enumerate(budgets)), now_us=NOON, control=1)
    world.idle(0, None)
    world.idle(1, None)
    asked: list[BaseQuestion] = []
    for step in [*before, ("apply", 2, 0), *after]:
        take(world, step, asked)
    world.control = 3
    for partition in (0, 1):
        world.call(partition, NOON + 4 * DAY, "1")
    world.crash()
    for _ in range(4):
        world.settle()
        world.ask_and_answer()
    for one in budgets:
        status = world.status(one.id)
        assert status["state_reason"] is None
        start, end = (us(status["period"][name].replace("Z", "+00:00")) for name in ("start", "end"))
        costs = [(call.at_us, call.usd) for call in world.calls]
        costs += [(price.call.at_us, price.usd) for price in world.prices]
        assert status["used"] == sum(int(Decimal(usd) * NANO) for at_us, usd in costs if start <= at_us < end), one.id

"""A crossing is looked into once: causes at once, siblings an hour later; the alert is told again, once each."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.control.budgets import Scope
from streams.agents.investigation.detail import CauseQuestion, Detail, Mover, Moves, Question, Sibling, SiblingQuestion
from streams.agents.investigation.investigator import Looked
from streams.agents.investigation.wording import explain, moved
from tests.streams.agents.base.world import World
from tests.streams.agents.samples import NANO, budget, us

NOON = us("2026-11-20T12:00:00+00:00")
MINUTE = 60_000_000
HOUR = 60 * MINUTE
B = budget("b", "100")
DETAIL = Detail(
    now=90 * NANO,
    before=40 * NANO,
    cache_now=0.1,
    cache_before=0.4,
    movers=(
        Mover("team", "search", 90 * NANO, 40 * NANO),
        Mover("use_case", "triage", 60 * NANO, 20 * NANO),
        Mover("use_case", "answers", 30 * NANO, 20 * NANO),
        Mover("workflow", "nightly", 58 * NANO, 20 * NANO),
        Mover("workflow", "daily", 20 * NANO, 20 * NANO),
        Mover("model", "opus", 80 * NANO, 10 * NANO),
        Mover("model", "haiku", 10 * NANO, 30 * NANO),
    ),
)


def a_world() -> World:
    world = World({0: B}, inputs=1, now_us=NOON, control=1)
    world.shard.looks.enabled = True
    return world


def questions(world: World) -> list[Question]:
    return world.shard.looks.take_questions()


def told(world: World) -> list[tuple[str | None, str, int]]:
    return [(alert.level, alert.state, alert.revision) for alert in world.alerts if alert.kind == "budget"]


def restart(world: World) -> None:
    world.crash()
    world.shard.looks.enabled = True


def answer(world: World, question: Question, found: Any) -> None:
    world.shard.looks.give([Looked(question, found)])
    world.settle()


def test_causes_come_as_an_update_once_whatever_dies() -> None:
    world = a_world()
    world.call(0, NOON, "85")
    world.settle()
    (asked,) = questions(world)
    assert isinstance(asked, CauseQuestion)
    start = us("2026-11-01T00:00:00+00:00")
    assert (asked.now, asked.before) == ((start, NOON + 1), (2 * start - NOON - 1, start))
    assert (asked.selectors, asked.unit, asked.below) == ({"team_id": ("search",)}, "usd", {0: 1})
    world.settle()
    assert questions(world) == []
    restart(world)
    world.settle()
    (again,) = questions(world)
    # The answer dies with the process before it is committed.
    world.shard.looks.give([Looked(again, DETAIL)])
    world.settle(commit=False)
    restart(world)
    world.settle()
    (third,) = questions(world)
    answer(world, third, DETAIL)
    assert told(world) == [("warning", "firing", 0), ("warning", "updated", 1)]
    update = next(alert for alert in world.alerts if alert.state == "updated")
    assert update.summary.endswith(
        "warning level. It rose by $50.00 against the span before: use case triage: $20.00 to $60.00, 80% of it; "
        "share of input read from cache 40% to 10%; 89% on model opus, before 25%."
    )
    assert [cause.factor for cause in update.explanation] == ["triage", "answers"]
    assert update.unexplained_share is not None
    assert sum(cause.share for cause in update.explanation) + update.unexplained_share == pytest.approx(1)
    restart(world)
    world.settle()
    answer(world, third, DETAIL)
    assert questions(world) == []
    assert len(told(world)) == 2


def test_without_an_answer_nothing_is_sent_and_nobody_asks_again() -> None:
    world = a_world()
    world.call(0, NOON, "85")
    world.settle()
    (asked,) = questions(world)
    answer(world, asked, None)
    world.call(0, NOON + MINUTE, "1")
    world.settle()
    restart(world)
    world.settle()
    assert questions(world) == []
    assert told(world) == [("warning", "firing", 0)]


def test_an_hour_after_a_soft_level_a_sibling_is_pointed_out_once() -> None:
    world = a_world()
    world.call(0, NOON, "105")
    world.settle()
    asked = {question.key.level: question for question in questions(world) if isinstance(question, CauseQuestion)}
    world.shard.looks.give([Looked(question, None) for question in asked.values()])
    world.settle()
    assert questions(world) == []
    world.call(0, NOON + HOUR + 3 * MINUTE, "1")
    world.settle()
    (sibling,) = questions(world)
    assert isinstance(sibling, SiblingQuestion)
    assert (sibling.key.level, sibling.before, sibling.after) == ("soft", (NOON - HOUR, NOON), (NOON, NOON + HOUR))
    answer(world, sibling, Moves(20 * NANO, 4 * NANO, (Sibling("team_id", "ads", NANO, 13 * NANO),)))
    assert told(world) == [("warning", "firing", 0), ("soft", "firing", 0), ("soft", "updated", 1)]
    (update,) = [alert for alert in world.alerts if alert.state == "updated"]
    assert update.summary.endswith(
        "In the hour after, it used $16.00 less than in the hour before, and team ads $12.00 more: "
        "spend may have moved there."
    )
    restart(world)
    world.settle()
    assert questions(world) == []


def test_history_persons_and_resolved_crossings_are_left_alone() -> None:
    world = a_world()
    world.budgets = {0: budget("b", "100", scope=Scope(user="u1"))}
    world.call(0, NOON, "85")
    world.settle()
    assert questions(world) == []
    late = a_world()
    late.now_us = NOON
    late.call(0, NOON, "85")
    late.settle()
    (asked,) = questions(late)
    late.budgets = {0: B, 1: budget("b", "1000")}
    late.control = 2
    late.settle()
    answer(late, asked, DETAIL)
    assert told(late) == [("warning", "firing", 0), ("warning", "resolved", 1)]


def test_the_dimension_that_explains_most_is_told_and_the_finer_one_of_equals() -> None:
    without = Detail(
        90 * NANO, 40 * NANO, None, None, tuple(one for one in DETAIL.movers if one.dimension != "use_case")
    )
    found = explain(B, without)
    assert found is not None
    # By model 70 of 50 dollars, by workflow 38; what sank elsewhere makes up for it.
    assert [(cause.factor, cause.share) for cause in found.causes] == [("opus", 1.4)]
    assert found.unexplained == pytest.approx(-0.4)
    even = Detail(90 * NANO, 40 * NANO, None, None, DETAIL.movers[:3])
    assert [cause.factor for cause in explain(B, even).causes] == ["triage", "answers"]  # type: ignore[union-attr]


def test_a_scope_that_did_not_rise_says_so_and_an_empty_one_nothing() -> None:
    falling = Detail(30, 40, None, None, (Mover("team", "a", 20, 30), Mover("team", "b", 10, 10)))
    found = explain(budget("b", "100", unit="calls"), falling)
    assert found is not None
    assert (found.causes, found.unexplained) == ((), None)
    assert found.sentence == "Use is not above the span before: largest is team a with 20 calls."
    assert explain(B, Detail(0, 0, None, None, ())) is None
    assert explain(B, Detail(5, 0, None, None, ())) is not None


@pytest.mark.parametrize(
    ("before", "after", "rose", "is_told"), [(10, 2, 4, True), (10, 2, 3, False), (2, 10, 9, False), (0, 0, 5, False)]
)
def test_a_sibling_must_rise_by_half_of_the_fall(before: int, after: int, rose: int, is_told: bool) -> None:
    found = moved(B, Moves(before, after, (Sibling("stage", "exploratory", 1, 1 + rose),)))
    assert (found is not None) == is_told
    if found is not None:
        assert "stage exploratory" in found.sentence
        assert found.causes[0].share + (found.unexplained or 0) == pytest.approx(1)


def test_the_alerts_are_valid_documents() -> None:
    world = a_world()
    world.call(0, NOON, "85")
    world.settle()
    (asked,) = questions(world)
    answer(world, asked, DETAIL)
    for alert in world.alerts:
        assert Alert.model_validate_json(alert.model_dump_json()) == alert

"""Statuses: the running period at once, spans before and after, one person, what waits and what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from schemas.control.base import us_moment
from schemas.control.budgets import Scope
from streams.agents.floors import floor_minute
from streams.agents.shard import Counts, Shard
from tests.streams.agents.samples import NANO, budget, budget_row, control, idle, us
from tests.streams.agents.test_budgets import CONFIG, DAY, HOUR, MINUTE, NOON, Desk

MIDNIGHT = us("2026-11-11T00:00:00+00:00")


def test_the_new_period_stands_as_soon_as_an_event_is_in_it() -> None:
    b = budget(period="day", limit="10")
    desk = Desk(b)
    desk.offer(MIDNIGHT - MINUTE, budget_row(b, MIDNIGHT - MINUTE, "9"))
    desk.settle(MIDNIGHT - MINUTE)
    at = MIDNIGHT + MINUTE // 2
    desk.offer(at, budget_row(b, at, "1"), watermark_us=MIDNIGHT - 5 * MINUTE)
    desk.settle(at)
    today, yesterday = desk.statuses[max(desk.statuses)], desk.statuses[min(desk.statuses)]
    assert (today["period"]["start"], today["calls"], today["state"]) == ("2026-11-11T00:00:00Z", 1, "ok")
    assert (yesterday["used"], yesterday["state"]) == (9 * NANO, "warning")
    assert [alert.state for alert in desk.alerts] == ["firing"], "yesterday is not over"


def test_a_sender_ahead_of_the_clock_turns_no_period() -> None:
    b = budget(period="day")
    desk = Desk(b)
    desk.spend(NOON, b, "1")
    ahead = NOON + 3 * DAY
    desk.offer(ahead, budget_row(b, ahead, "1"), watermark_us=NOON - MINUTE)
    desk.settle(NOON + MINUTE)
    assert desk.status["period"]["start"] == "2026-11-10T00:00:00Z"


def test_periods_that_the_watermark_has_not_passed_stay() -> None:
    b = budget(period="hour")
    desk = Desk(b)
    for hour in range(4):
        at = NOON + hour * HOUR
        desk.offer(at, budget_row(b, at, "1"), watermark_us=NOON)
        desk.settle(at)
    assert len(desk.statuses) == 4
    desk.offer(NOON + 4 * HOUR, watermark_us=NOON + 4 * HOUR)
    desk.settle(NOON + 4 * HOUR)
    assert len(desk.statuses) == 2


def test_a_span_before_while_and_after() -> None:
    b = budget(limit="10", period="span", starts_at=us_moment(NOON + DAY), ends_at=us_moment(NOON + 3 * DAY))
    watch = budget("other")
    desk = Desk(b, watch)

    def stands() -> tuple[str, int, bool, str | None]:
        one = next(one for one in desk.statuses.values() if one["budget_id"] == "b")
        return one["state"], one["used"] // NANO, one["would_stop"], one["state_reason"]

    desk.spend(NOON, watch, "1")
    assert stands() == ("ok", 0, False, None)
    desk.spend(NOON + DAY + HOUR, b, "20")
    assert stands() == ("hard", 20, True, None)
    desk.spend(NOON + 3 * DAY + HOUR, watch, "1")
    state, used, would_stop, why = stands()
    assert (state, used, would_stop) == ("hard", 20, False)
    assert "span has ended" in (why or "")
    assert desk.alerts[-1].state == "resolved"
    assert "The span has ended" in desk.alerts[-1].summary
    desk.spend(NOON + 80 * DAY, watch, "1")
    assert not [key for key in desk.statuses if key.startswith("b|")], "let go of, long after its end"
    assert floor_minute(b, NOON + 80 * DAY) > (NOON + 3 * DAY) // MINUTE


def test_input_and_output_tokens() -> None:
    for unit, used in (("input_tokens", 700), ("output_tokens", 100), ("tokens", 800)):
        b = budget(limit="1000", unit=unit)
        desk = Desk(b)
        desk.offer(NOON, budget_row(b, NOON, input_tokens=700, output_tokens=100))
        desk.settle()
        assert (desk.status["used"], desk.status["unit"]) == (used, unit)


def test_a_budget_about_one_person_stands_on_a_topic_of_its_own() -> None:
    b = budget(scope=Scope(user="hash"), limit="10")
    desk = Desk(b)
    desk.offer(NOON, budget_row(b, NOON, "9"))
    settlement = desk.shard.settle(NOON, desk.control)
    assert settlement is not None
    assert settlement.statuses == ()
    ((key, value),) = settlement.personal
    assert key.startswith("b|")
    assert value is not None
    assert b"hash" not in value.split(b'"rule"')[0] + value.split(b'"scope"')[1]
    (alert,) = settlement.alerts
    assert alert.scope.one_person is True
    assert "hash" not in alert.model_dump_json()
    desk.control = control(budget("other"), position=5)
    settlement = desk.shard.settle(NOON, desk.control)
    assert settlement is not None
    assert settlement.personal == ((key, None),)


def test_a_changed_state_does_not_wait_for_the_next_checkpoint() -> None:
    b = budget()
    desk = Desk(b, inputs=2)
    desk.spend(NOON, b, "1")
    assert desk.status["state"] == "unknown"
    # Within the second that figures may wait, the other input partition is heard: the state becomes known.
    desk.shard.offer(idle(1, 0, None, partition=1))
    desk.offset += 1
    settlement = desk.shard.settle(NOON + 1_000, desk.control)
    assert settlement is not None
    assert b'"state":"ok"' in (settlement.statuses[-1][1] or b"")
    desk.offer(NOON + MINUTE, budget_row(b, NOON, "1"))
    assert desk.shard.settle(NOON + 2_000, desk.control) is None, "figures alone wait"
    assert desk.shard.settle(NOON + int(CONFIG.checkpoint_s * 1_000_000) + 2_000, desk.control) is not None


def test_a_changed_state_goes_before_figures_and_none_is_forgotten() -> None:
    many = [budget(f"b{number:03}") for number in range(60)]
    config = replace(CONFIG, statuses_at_once=20)
    desk = Desk(*many)
    desk.shard = Shard(0, Counts(1, 1), config)
    at_us = NOON

    def settle(*rows: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Ids in the order of their statuses, and states that are told; the clock goes on by a second."""
        nonlocal at_us
        at_us += 1_000_000
        if rows:
            desk.offer(at_us, *rows)
        settlement = desk.shard.settle(at_us, desk.control)
        if settlement is None:
            return [], []
        told = [json.loads(value) for _, value in settlement.statuses if value is not None]
        return [one["budget_id"] for one in told], [alert.budget_id or "" for alert in settlement.alerts]

    def drain() -> list[str]:
        found: list[str] = []
        while some := settle()[0]:
            assert len(some) <= 20
            found += some
        return found

    settle(*(budget_row(one, NOON, "1") for one in many))
    drain()
    told, _ = settle(*(budget_row(one, NOON, "1") for one in many))
    assert told == [f"b{number:03}" for number in range(20)]
    # The last of all crosses a level while 40 wait.
    told, alerts = settle(budget_row(many[59], NOON, "90"))
    assert alerts == ["b059"]
    assert "b059" in told
    assert sorted([*told, *drain()]) == [f"b{number:03}" for number in range(20, 60)], "each once, none forgotten"
    settle(*(budget_row(one, NOON, "1") for one in many))
    settlement = desk.shard.settle(at_us, desk.control, force=True)
    assert settlement is not None
    assert len(settlement.statuses) == 40, "whoever leaves leaves nothing due"

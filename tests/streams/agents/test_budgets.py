"""Budgets: levels once, periods in their zone, changed documents, and from when a period is counted whole."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.control.budgets import Budget, Levels, Scope
from schemas.control.snapshot import ControlSnapshot
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from tests.streams.agents.samples import NANO, budget, budget_row, control, idle, message, us

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


class Desk:
    """A shard with one input partition, and everything it ever told."""

    def __init__(self, *budgets: Budget, inputs: int = 1) -> None:
        self.control = control(*budgets)
        self.shard = Shard(0, Counts(inputs, 1), CONFIG)
        self.alerts: list[Alert] = []
        self.statuses: dict[str, dict[str, Any]] = {}
        self.offset = self.position = 0

    def offer(self, at_us: int, *rows: dict[str, Any], **more: Any) -> None:
        self.shard.offer(message(self.offset, self.position, self.position + 10, at_us, rows, **more))
        self.offset, self.position = self.offset + 1, self.position + 10

    def settle(self, now_us: int = NOON) -> list[Alert]:
        settlement = self.shard.settle(now_us, self.control, force=True)
        if settlement is None:
            return []
        self.alerts += settlement.alerts
        for key, value in settlement.statuses:
            if value is None:
                self.statuses.pop(key, None)
            else:
                self.statuses[key] = json.loads(value)
        return list(settlement.alerts)

    def spend(self, at_us: int, budget_: Budget, usd: str, **more: Any) -> list[Alert]:
        self.offer(at_us, budget_row(budget_, at_us, usd), **more)
        return self.settle()

    @property
    def status(self) -> dict[str, Any]:
        (one,) = self.statuses.values()
        return one


def test_each_level_is_told_once_with_figures_and_action() -> None:
    b = budget(limit="100", owner="Ada", contact="#search")
    desk = Desk(b)
    assert desk.spend(NOON, b, "79.99") == []
    (warning,) = desk.spend(NOON + MINUTE, b, "1.21")
    assert (
        warning.summary == "Team search has used $81.20 of its $100.00 budget for November 2026 (81%): warning level."
    )
    assert (warning.severity, warning.level, warning.owner, warning.contact) == ("info", "warning", "Ada", "#search")
    assert warning.limit == 100 * NANO
    assert desk.spend(NOON + 2 * MINUTE, b, "1") == []
    soft, hard = desk.spend(NOON + 3 * MINUTE, b, "40")
    assert [(a.level, a.severity) for a in (soft, hard)] == [("soft", "warning"), ("hard", "critical")]
    assert len({a.alert_id for a in desk.alerts}) == 3
    assert desk.status["state"] == "hard"
    assert desk.status["would_stop"] is True
    assert "team_id = 'search'" in hard.links[0].href
    assert "$" not in hard.links[0].href


def test_a_budget_that_only_observes_pages_nobody_but_says_would_stop() -> None:
    b = budget(limit="10", mode="observe")
    desk = Desk(b)
    alerts = desk.spend(NOON, b, "20")
    assert alerts[-1].level == "hard"
    assert alerts[-1].severity == "warning"
    assert desk.status["would_stop"] is True


@pytest.mark.parametrize(
    ("unit", "limit", "row"),
    [
        ("tokens", "1000", {"input_tokens": 700, "output_tokens": 100}),
        ("calls", "10", {"calls": 8}),
        ("usd", "10", {"provisional_nanousd": 8 * NANO}),
    ],
)
def test_units(unit: str, limit: str, row: dict[str, Any]) -> None:
    b = budget(limit=limit, unit=unit)
    desk = Desk(b)
    desk.offer(NOON, {**budget_row(b, NOON), **row})
    (alert,) = desk.settle()
    assert alert.level == "warning"
    assert desk.status["provisional"] == (8 * NANO if unit == "usd" else 0)


def test_a_crossing_is_dated_by_the_quarter_that_reached_it() -> None:
    b = budget(limit="100")
    desk = Desk(b)
    rows = [budget_row(b, NOON + quarter * 15 * MINUTE, "30") for quarter in range(4)]
    desk.offer(NOON + 50 * MINUTE, *rows)
    alerts = {alert.level: alert for alert in desk.settle()}
    assert alerts["warning"].occurred_at.isoformat() == "2026-11-10T12:45:00+00:00"
    assert alerts["warning"].observed == 90 * NANO
    # The last quarter has not ended: the newest event dates it.
    assert alerts["hard"].occurred_at.isoformat() == "2026-11-10T12:50:00+00:00"


def test_a_period_ends_and_the_next_starts_at_zero() -> None:
    b = budget(limit="10", period="day")
    desk = Desk(b)
    desk.spend(NOON, b, "8")
    (ended,) = desk.spend(NOON + DAY, b, "1")
    assert (ended.state, ended.level, ended.revision) == ("resolved", "warning", 1)
    assert "The period has ended" in ended.summary
    newest = desk.statuses[max(desk.statuses)]
    assert (newest["used"], newest["state"]) == (1 * NANO, "ok")
    assert len(desk.statuses) == 2
    desk.spend(NOON + 2 * DAY, b, "1")
    desk.spend(NOON + 3 * DAY, b, "1")
    assert len(desk.statuses) == 2, "older periods are retired"


def test_a_period_that_begins_and_ends_within_one_settlement_has_a_status() -> None:
    """With or without another before it; and what is older leaves the topic."""
    b = budget(limit="10", period="day")
    desk = Desk(b)
    for days in (0, 1):
        desk.offer(NOON + days * DAY, budget_row(b, NOON + days * DAY, str(days + 1)))
    desk.settle()
    assert [one["used"] for _, one in sorted(desk.statuses.items())] == [1 * NANO, 2 * NANO]
    for days in (2, 3):
        desk.offer(NOON + days * DAY, budget_row(b, NOON + days * DAY, str(days + 1)))
    desk.settle()
    assert [one["used"] for _, one in sorted(desk.statuses.items())] == [3 * NANO, 4 * NANO]


def test_a_late_crossing_of_an_ended_period_fires_and_is_resolved() -> None:
    b = budget(limit="10", period="day")
    desk = Desk(b)
    desk.spend(NOON, b, "7")
    desk.spend(NOON + DAY, b, "1")
    desk.offer(NOON + DAY + MINUTE, budget_row(b, NOON, "2"))
    assert [(a.state, a.level) for a in desk.settle()] == [("firing", "warning"), ("resolved", "warning")]


def test_a_day_in_berlin_with_25_hours() -> None:
    b = budget(limit="10", period="day", time_zone="Europe/Berlin")
    desk = Desk(b)
    start = us("2026-10-24T22:00:00+00:00")
    desk.spend(start + HOUR, b, "5")
    (alert,) = desk.spend(start + 24 * HOUR + 30 * MINUTE, b, "4")
    assert (alert.window.end - alert.window.start).total_seconds() == 25 * 3600
    (resolved,) = desk.spend(start + 25 * HOUR + 10 * MINUTE, b, "1")
    assert resolved.state == "resolved"


def test_a_raised_limit_resolves_and_may_fire_again_with_the_same_id() -> None:
    b = budget(limit="10")
    desk = Desk(b)
    (fired,) = desk.spend(NOON, b, "9")
    desk.control = control(budget(limit="100"), position=2)
    (resolved,) = desk.settle()
    assert (resolved.state, resolved.revision) == ("resolved", 1)
    assert "limit was raised" in resolved.summary
    assert desk.settle() == []
    desk.offer(NOON + MINUTE, budget_row(b, NOON, "75"))
    (again,) = desk.settle()
    assert (again.alert_id, again.state, again.revision) == (fired.alert_id, "firing", 2)


def test_a_lowered_limit_fires_and_a_changed_mode_updates() -> None:
    b = budget(limit="100")
    desk = Desk(b)
    assert desk.spend(NOON, b, "50") == []
    desk.control = control(budget(limit="60"), position=2)
    (fired,) = desk.settle()
    assert (fired.level, fired.state) == ("warning", "firing")
    desk.control = control(budget(limit="60", mode="enforce"), position=3)
    (updated,) = desk.settle()
    assert (updated.state, updated.mode, updated.revision) == ("updated", "enforce", 1)


def test_a_sinking_amount_does_not_flap() -> None:
    b = budget(limit="10")
    desk = Desk(b)
    desk.spend(NOON, b, "8")
    assert desk.spend(NOON + MINUTE, b, "-2") == []
    assert desk.spend(NOON + 2 * MINUTE, b, "2") == []
    assert desk.status["used"] == 8 * NANO


def test_a_removed_budget_is_resolved_and_its_status_retired() -> None:
    b = budget(limit="10")
    desk = Desk(b)
    desk.spend(NOON, b, "8")
    desk.control = ControlSnapshot(2, {}, {})
    (gone,) = desk.settle()
    assert gone.state == "resolved"
    assert "removed" in gone.summary
    assert desk.statuses == {}


def test_a_budget_that_was_removed_and_made_again_unseen_is_counted_anew() -> None:
    """What was enriched between the two knows nothing of it: the running period is not whole any more."""
    b = budget(limit="100")
    desk = Desk(b)
    desk.spend(NOON, b, "90")
    assert desk.status["state"] == "warning"
    desk.control = replace(desk.control, position=4, offsets={"budget/b": 3}, reborn={"budget/b": 3})
    (resolved,) = desk.settle()
    assert (resolved.state, "removed" in resolved.summary) == ("resolved", True)
    assert desk.status["state"] == "unknown"
    desk.spend(NOON + MINUTE, b, "1", control=4)
    assert desk.status["state"] == "unknown", "and the gap is known"
    desk.control = replace(desk.control, position=5)
    assert desk.settle() == [], "it is told once"


def test_a_status_stands_before_the_first_event() -> None:
    desk = Desk(budget())
    desk.settle()
    assert (desk.status["used"], desk.status["state"]) == (0, "unknown")
    assert "counting starts" in desk.status["state_reason"]
    desk.shard.offer(idle(0, 0, None))
    desk.settle()
    assert (desk.status["used"], desk.status["state"]) == (0, "ok")


def test_a_fresh_system_counts_old_events_whole_and_retires_the_clocks_period() -> None:
    b = budget()
    desk = Desk(b)
    desk.settle()
    assert "2026-11-01" in next(iter(desk.statuses))
    then = us("2023-11-16T18:00:00+00:00")
    desk.spend(then, b, "85", append_us=NOON)
    assert [alert.historical for alert in desk.alerts] == [True]
    assert (desk.status["state"], desk.status["period"]["start"]) == ("warning", "2023-11-01T00:00:00Z")


def test_a_budget_that_appears_in_mid_period_is_unknown_until_the_next() -> None:
    old, new = budget("old"), budget("new", period="day")
    desk = Desk(old)
    desk.spend(NOON, old, "1", control=1)
    desk.control = control(old, new)
    desk.spend(NOON + HOUR, new, "95", control=2)
    (status,) = [status for status in desk.statuses.values() if status["budget_id"] == "new"]
    assert status["state"] == "unknown"
    assert "appeared or changed its scope" in status["state_reason"]
    # What was counted already reached the levels: that holds whatever is missing.
    assert [alert.level for alert in desk.alerts if alert.budget_id == "new"] == ["warning"]
    desk.spend(NOON + DAY, new, "1", control=2)
    newest = max(key for key in desk.statuses if key.startswith("new"))
    assert desk.statuses[newest]["state"] == "ok"


def test_every_input_partition_has_to_be_heard_with_the_budget() -> None:
    b = budget()
    desk = Desk(b, inputs=2)
    desk.spend(NOON, b, "1", control=1)
    assert desk.status["state"] == "unknown"
    desk.shard.offer(idle(1, 0, None, partition=1, control=0))
    desk.settle()
    assert desk.status["state"] == "unknown"
    desk.shard.offer(idle(2, 0, None, partition=1, control=1))
    desk.settle()
    assert desk.status["state"] == "ok"


def test_hard_is_certain_even_when_use_is_missing() -> None:
    b = budget(limit="10")
    desk = Desk(b, inputs=2)
    desk.spend(NOON, b, "50")
    assert desk.status["state"] == "hard"
    assert desk.status["state_reason"] is not None


def test_a_changed_scope_starts_a_new_total() -> None:
    b = budget(limit="10")
    desk = Desk(b)
    desk.spend(NOON, b, "8")
    other = budget(limit="10", scope=Scope(team="search", stage="production"))
    desk.control = control(other, position=2)
    (resolved,) = desk.settle()
    assert "counts other events" in resolved.summary
    assert (desk.status["used"], desk.status["state"]) == (0, "unknown")
    (fired,) = desk.spend(NOON + HOUR, other, "9", control=2)
    assert (fired.alert_id, fired.revision) == (resolved.alert_id, 2)


def test_levels_of_ones_own() -> None:
    b = budget(limit="10", levels=Levels(warning=Decimal("0.5"), soft=Decimal("0.5"), hard=Decimal(2)))
    desk = Desk(b)
    assert [alert.level for alert in desk.spend(NOON, b, "5")] == ["warning", "soft"]

"""Forecasts and their alerts in a shard."""

from __future__ import annotations

import json
from decimal import Decimal

from schemas.alerts import Alert
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Settlement, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.state_records import read_checkpoints
from tests.streams.agents.samples import budget, budget_row, control, message, us

HOUR = 3_600_000_000
START = us("2026-09-01T00:00:00+00:00")
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


def feed(shard: Shard, days: range, usd: str, limit: str) -> list[Settlement]:
    """Six hours a day at `usd` each, settled daily; the budget has no levels that could be reached."""
    told = budget("b", limit, levels={"warning": 50, "soft": 60, "hard": 70}, plan=Decimal(limit))
    found: list[Settlement] = []
    for day in days:
        for part in range(4):
            at = START + (day * 24 + part * 6) * HOUR
            offset = day * 4 + part
            rows = [budget_row(told, at, usd)]
            shard.offer(message(offset, offset * 10, offset * 10 + 10, at, rows))
        settlement = shard.settle(at, control(told), force=True)
        assert settlement is not None
        found.append(settlement)
    return found


def forecasts(settlements: list[Settlement]) -> list[Alert]:
    return [alert for one in settlements for alert in one.alerts if alert.kind == "forecast"]


def test_under_four_weeks_it_says_so_and_tells_only_what_is_above_plan() -> None:
    shard = Shard(0, Counts(1, 1), CONFIG)
    told = forecasts(feed(shard, range(20), "5", "300"))
    assert [(alert.state, alert.revision) for alert in told] == [("firing", 0)]
    assert us("2026-09-15T00:00:00+00:00") <= int(told[0].occurred_at.timestamp()) * 1_000_000
    assert told[0].occurred_at.day == 15
    assert "less than four weeks" in told[0].summary


def test_with_history_it_is_told_once_and_resolved_at_the_end_whatever_restarts() -> None:
    state: dict[str, bytes] = {}
    shard = Shard(0, Counts(1, 1), CONFIG)
    told: list[Alert] = []
    statuses: list[bytes] = []
    for day in range(63):
        if day % 10 == 9:
            shard = Shard(0, Counts(1, 1), CONFIG)
            shard.restore(read_checkpoints(state))
        settlements = feed(shard, range(day, day + 1), "5", "640" if day < 30 else "550")
        told += forecasts(settlements)
        for settlement in settlements:
            for key, value in settlement.records:
                state.pop(key, None) if value is None else state.update({key: value})
            statuses += [value for _, value in settlement.statuses if value is not None]
    october = [alert for alert in told if alert.window.start.month == 10]
    assert [alert.state for alert in october] == ["firing", "resolved"]
    assert "chance of" in october[0].summary
    last = next(one for one in map(json.loads, reversed(statuses)) if one["period"]["start"].startswith("2026-10"))
    assert last["forecast"]["method"] == "hour_of_week"
    assert last["forecast"]["p10"] <= last["forecast"]["p50"] <= last["forecast"]["p90"]
    assert abs(last["forecast"]["p50"] / 1e9 - 620) < 30

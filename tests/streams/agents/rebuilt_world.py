"""A shard with a log, a history and a past that can be lost: what the tests of a rebuild stand on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock
from runtime.metrics import AgentMetrics
from schemas.control.budgets import Budget
from schemas.status import BudgetStatus
from streams.agents.config import AgentsConfig
from streams.agents.keeper import ShardKeeper
from streams.agents.memory_store import MemoryAdjustmentLog, MemoryStateStore, MemoryTallyLog, MemoryTopics
from streams.agents.rebuild import Rebuilder, Rebuilt
from streams.agents.shard import Counts
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.standing import Standing
from streams.agents.tally_message import TallyMessage
from streams.agents.windows import TEAM_MEASURES, Resolution
from tests.streams.agents.samples import NANO, budget, budget_row, cell, control, idle, message, table, us

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
MONTHLY = budget("m", "100")
DAILY = budget("d", "40", period="day")
CONTROL = control(MONTHLY, DAILY)
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))
COUNTS = Counts(inputs=2, tallies=1)


@dataclass(frozen=True)
class Call:
    """One call of team search: its source position and what it cost."""

    partition: int
    offset: int
    at_us: int
    usd: str


@dataclass
class Resends:
    """Source positions of calls that had been counted before; `corrected`: an adjustment has taken them back."""

    positions: set[tuple[int, int]] = field(default_factory=set)
    corrected: bool = False


class Memory:
    """A UsageHistory over calls: what ClickHouse would know of them, each event once."""

    def __init__(self, calls: list[Call], reached: Mapping[int, int], resends: Resends) -> None:
        self._calls, self._reached, self._resends = calls, reached, resends

    def reaches(self, partition: int) -> int:
        return self._reached.get(partition, 0)

    def _before(self, before: Mapping[int, int]) -> list[Call]:
        return [
            call
            for call in self._calls
            if call.offset < before.get(call.partition, 0)
            and (self._resends.corrected or (call.partition, call.offset) not in self._resends.positions)
        ]

    def uneven(self, before: Mapping[int, int]) -> list[tuple[int, int, int, int]]:
        below = sorted(at for at in self._resends.positions if at[1] < before.get(at[0], 0))
        return [] if self._resends.corrected else [(partition, first, first + 1, -1) for partition, first in below]

    def refused(self, before: Mapping[int, int]) -> tuple[int, int]:
        return sum(before.values()), 7 * NANO

    def team_sums(self, resolution: Resolution, first_window: int, before: Mapping[int, int]) -> pa.Table:
        sums: dict[int, int] = {}
        counts: dict[int, int] = {}
        for call in self._before(before):
            if resolution == "month":
                window = int(np.datetime64(call.at_us, "us").astype("datetime64[M]").astype(np.int64))
            else:
                window = call.at_us // ({"minute": 1, "hour": 60, "day": 1_440}[resolution] * MINUTE)
            if window >= first_window:
                sums[window] = sums.get(window, 0) + int(Decimal(call.usd) * NANO)
                counts[window] = counts.get(window, 0) + 1
        columns: dict[str, Any] = {name: pa.array([0] * len(sums), pa.int64()) for name in TEAM_MEASURES}
        columns |= {
            "team_id": pa.array(["search"] * len(sums), pa.utf8()),
            "window": pa.array(list(sums), pa.int64()),
            "cost_nanousd": pa.array(list(sums.values()), pa.int64()),
            "calls": pa.array(list(counts.values()), pa.int64()),
        }
        return pa.table(columns)

    def budget_sums(
        self, selectors: Mapping[str, tuple[str, ...]], first_minute: int, before: Mapping[int, int]
    ) -> pa.Table:
        assert selectors == {"team_id": ("search",)}
        calls = [call for call in self._before(before) if call.at_us >= first_minute * MINUTE]
        return pa.table(
            {
                "minute": pa.array([call.at_us // MINUTE // 15 * 15 for call in calls], pa.int64()),
                "calls": pa.array([1] * len(calls), pa.int64()),
                "tokens": pa.array([0] * len(calls), pa.int64()),
                "cost_nanousd": pa.array([int(Decimal(call.usd) * NANO) for call in calls], pa.int64()),
                "provisional_nanousd": pa.array([0] * len(calls), pa.int64()),
                "output_tokens": pa.array([0] * len(calls), pa.int64()),
            }
        )


class World:
    """Topics of one shard, and the calls behind them."""

    def __init__(self) -> None:
        self.topics = MemoryTopics()
        self.calls: list[Call] = []
        self.adjustments: list[pa.Table] = []
        self.resends = Resends()
        self.control = CONTROL
        self.budgets: tuple[Budget, ...] = (MONTHLY, DAILY)
        self.metrics = AgentMetrics(CollectorRegistry())
        self._next = [0, 0]

    def call(self, usd: str, at_us: int, partition: int = 0, count: int = 1) -> None:
        """One range of an input partition with `count` calls of `usd` each."""
        first = self._next[partition]
        self._next[partition] = first + count
        rows = []
        for offset in range(first, first + count):
            self.calls.append(Call(partition, offset, at_us, usd))
            rows += [cell(at_us, cost_nanousd=int(Decimal(usd) * NANO))]
            rows += [budget_row(one, at_us, usd) for one in self.budgets]
        number = len(self.topics.tallies)
        told = message(number, first, first + count, at_us, rows, partition=partition, control=9)
        self.topics.tallies.append(told)

    def position(self, partition: int) -> int:
        return self._next[partition]

    def keeper(self) -> ShardKeeper:
        store, log = MemoryStateStore(self.topics), MemoryTallyLog(self.topics)
        adjustments = MemoryAdjustmentLog(self.adjustments)
        keeper = ShardKeeper(0, COUNTS, CONFIG, store, log, FixedClock(NOON), self.metrics, adjustments)
        keeper.open()
        return keeper

    def work(self, keeper: ShardKeeper, messages: list[TallyMessage]) -> None:
        """Settle after each message, as a worker under little load does."""
        for one in messages:
            keeper.offer(one)
            if keeper.is_behind:
                keeper.adjust(keeper.catch_up())
            settlement = keeper.settle(self.control, force=True)
            if settlement is not None:
                keeper.commit(settlement)

    def lose(self, low: int = 0) -> None:
        self.topics.state.clear()
        self.topics.low = low
        self.topics.traces = "it was read"

    def used(self) -> int:
        """What the newest status of the month's budget says, in whole dollars."""
        return int(json.loads(self.topics.statuses["m|2026-11-01T00:00:00+00:00"])["used"]) // NANO

    def rebuild(
        self, *, history: bool = True, reached: Mapping[int, int] | None = None, accept_differences: bool = False
    ) -> Rebuilt:
        statuses = [(key, BudgetStatus.model_validate_json(value)) for key, value in self.topics.statuses.items()]
        known = {one.range.partition: one.range.next for one in self.topics.tallies} if reached is None else reached
        rebuilder = Rebuilder(
            CONFIG,
            COUNTS,
            MemoryTallyLog(self.topics),
            MemoryAdjustmentLog(self.adjustments),
            Memory(self.calls, known, self.resends) if history else None,
            Standing.of(self.topics.alerts, statuses),
            self.control,
            FixedClock(NOON),
            accept_differences=accept_differences,
        )
        assert rebuilder.damage(0, self.topics.state) is not None
        store = MemoryStateStore(self.topics)
        records = store.open()
        rebuilt = rebuilder.rebuild(0, records)
        store.commit(rebuilt.settlement)
        assert rebuilder.damage(0, self.topics.state) is None
        return rebuilt

    def seen(self) -> tuple[list[Any], dict[str, Any]]:
        """What subscribers see, but for when it was noticed."""
        alerts = [alert.model_dump(exclude={"evaluated_at"}) for alert in self.topics.alerts]
        statuses = {}
        for key, value in self.topics.statuses.items():
            status = json.loads(value)
            del status["evaluated_at"], status["as_of"]
            statuses[key] = status
        return sorted(alerts, key=lambda alert: (alert["alert_id"], alert["revision"])), statuses


def traffic(world: World, steps: int, start: int = 0) -> int:
    """Both input partitions in turn: crosses levels of the day's budget each day, of the month's on the way.
    Returns the time of the last call.
    """
    at_us = NOON
    for step in range(start, start + steps):
        at_us = NOON + step * 5 * 60 * MINUTE
        world.call("8", at_us, partition=step % 2, count=1 + step % 3)
        if step % 4 == 0:
            world.call("1", at_us - 30 * MINUTE, partition=1 - step % 2)
    return at_us


def run(adjusted_at: int, lost_at: int | None = None, low: int = 0) -> tuple[World, Any]:
    """The same traffic, handed over message by message; state lost before message `lost_at`."""
    world = World()
    at_us = traffic(world, 10)
    everything, world.topics.tallies = world.topics.tallies, []
    keeper = world.keeper()
    for number, one in enumerate(everything):
        if number == adjusted_at:
            # So small that each level is reached in the same quarter of an hour: otherwise it depends on whether the
            # correction or the watermark was first, which nobody wrote down, if that date is told anew.
            row = budget_row(MONTHLY, NOON, "-1", calls=0)
            world.adjustments.append(table([cell(NOON, calls=0, cost_nanousd=-NANO), row]))
        if number == lost_at:
            world.lose(low)
            world.rebuild()
            keeper = world.keeper()
        elif number == adjusted_at:
            # Alone, as the rebuild judges it: together with what comes next, a level might never be left.
            world.work(keeper, [world.topics.tallies[-1]] if number else [])
        world.topics.tallies = everything[: number + 1]
        world.work(keeper, [one])
    # Where no tallies were left, event time is known again once every input partition was heard.
    world.work(keeper, [idle(MESSAGES + p, world.position(p), at_us, partition=p) for p in range(2)])
    return world, keeper.shard.team_totals("search")


MESSAGES = 13

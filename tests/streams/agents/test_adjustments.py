"""Corrections: added once by whoever is at home, whatever dies; levels move down and up with them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock
from runtime.metrics import AgentMetrics
from schemas.tallies import TALLIES, home_partition
from streams.agents.adjustments import home_rows
from streams.agents.config import AgentsConfig
from streams.agents.keeper import ShardKeeper
from streams.agents.memory_store import MemoryAdjustmentLog, MemoryStateStore, MemoryTallyLog, MemoryTopics
from streams.agents.shard import Counts, Settlement
from streams.agents.spikes.policy import SpikePolicy
from tests.streams.agents.samples import budget, budget_row, cell, control, message, table, us

NOON = us("2026-11-10T12:00:00+00:00")
DAY = 86_400_000_000
MONTHLY = budget("b", "100")
DAILY = budget("d", "100", period="day")
CONTROL = control(MONTHLY, DAILY)
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


def corrected(usd: str, at_us: int = NOON, of: Any = MONTHLY) -> pa.Table:
    """One adjustment: a cell of team search and a budget row, both by `usd`."""
    row = budget_row(of, at_us, usd, calls=0)
    return table([cell(at_us, calls=0, cost_nanousd=row["cost_nanousd"]), row])


class World:
    """One shard's topics and adjustments; `keeper` is a process on them."""

    def __init__(self) -> None:
        self.topics = MemoryTopics()
        self.adjustments: list[pa.Table] = []
        self.metrics = AgentMetrics(CollectorRegistry())
        self.told: list[tuple[str | None, str, int]] = []

    def keeper(self) -> ShardKeeper:
        keeper = ShardKeeper(
            0,
            Counts(1, 1),
            CONFIG,
            MemoryStateStore(self.topics),
            MemoryTallyLog(self.topics),
            FixedClock(NOON),
            self.metrics,
            MemoryAdjustmentLog(self.adjustments),
        )
        keeper.open()
        return keeper

    def settle(self, keeper: ShardKeeper, commit: bool = True) -> Settlement | None:
        if keeper.is_behind:
            keeper.adjust(keeper.catch_up())
        settlement = keeper.settle(CONTROL, force=True)
        if settlement is not None and commit:
            keeper.commit(settlement)
        return settlement

    def alerts(self) -> list[tuple[str | None, str, int]]:
        return [(alert.level, alert.state, alert.revision) for alert in self.topics.alerts]

    def used(self) -> int:
        used: int = next(json.loads(v)["used"] for k, v in self.topics.statuses.items() if k.startswith("b|"))
        return used // 10**9


def spend(world: World, keeper: ShardKeeper, usd: str, at_us: int = NOON, of: Any = MONTHLY) -> None:
    number = len(world.topics.tallies)
    rows = [cell(at_us), budget_row(of, at_us, usd)]
    world.topics.tallies.append(message(number, number * 10, number * 10 + 10, max(at_us, NOON), rows))
    keeper.offer(world.topics.tallies[-1])


def test_a_correction_lowers_a_total_and_resolves_the_level() -> None:
    world = World()
    keeper = world.keeper()
    spend(world, keeper, "105")
    world.settle(keeper)
    assert world.alerts() == [("warning", "firing", 0), ("soft", "firing", 0)]
    world.adjustments.append(corrected("-20"))
    world.settle(keeper)
    assert world.alerts()[2:] == [("soft", "resolved", 1)]
    assert "correction lowered" in world.topics.alerts[-1].summary
    assert world.used() == 85
    spend(world, keeper, "20")
    world.settle(keeper)
    assert world.alerts()[3:] == [("soft", "firing", 2)], "reached again: the same alert goes on"


def test_a_price_that_came_later_raises_a_level() -> None:
    world = World()
    keeper = world.keeper()
    spend(world, keeper, "79")
    world.settle(keeper)
    world.adjustments.append(corrected("1"))
    world.settle(keeper)
    assert world.alerts() == [("warning", "firing", 0)]
    assert world.used() == 80
    totals = keeper.shard.team_totals("search")
    assert totals is not None
    assert {window.sums[0] for window in totals} == {1}, "a correction is no call"


def test_a_correction_of_a_period_that_has_ended_is_told_and_over() -> None:
    world = World()
    keeper = world.keeper()
    spend(world, keeper, "50", of=DAILY)
    spend(world, keeper, "1", at_us=NOON + 2 * DAY, of=DAILY)
    world.settle(keeper)
    world.adjustments.append(corrected("40", of=DAILY))
    world.settle(keeper)
    assert world.alerts() == [("warning", "firing", 0), ("warning", "resolved", 1)]


@settings(max_examples=12)
@given(st.data())
def test_each_correction_is_added_once_whatever_dies(data: st.DataObject) -> None:
    world = World()
    keeper = world.keeper()
    expected = 0
    for _ in range(12):
        move = data.draw(st.sampled_from(["spend", "correct", "settle", "settle and die", "die"]))
        if move == "spend":
            spend(world, keeper, "3")
            expected += 3
        elif move == "correct":
            usd = data.draw(st.sampled_from(["-2", "5"]))
            world.adjustments.append(corrected(usd))
            expected += int(usd)
        elif move == "settle":
            world.settle(keeper)
        else:
            if move == "settle and die":
                world.settle(keeper, commit=False)
            keeper = world.keeper()
    world.settle(keeper)
    keeper = world.keeper()
    spend(world, keeper, "1")
    world.settle(keeper)
    assert world.used() == expected + 1
    assert keeper.shard.adjusted == len(world.adjustments)


def test_rows_go_to_their_homes_and_nowhere_else() -> None:
    rows = [cell(NOON, f"team-{number}") for number in range(20)] + [cell(NOON) | {"team_id": None}]
    rows += [budget_row(budget(f"budget-{number}"), NOON, "1") for number in range(20)]
    split = [home_rows([table(rows)], partition, 4) for partition in range(4)]
    assert sum(part.num_rows for part in split) == len(rows)
    for partition, part in enumerate(split):
        for row in part.to_pylist():
            name = f"budget/{row['budget_id']}" if row["budget_id"] else f"team/{row['team_id']}"
            assert home_partition(name, 4) == partition
    assert home_rows([], 0, 4).equals(TALLIES.empty_table())

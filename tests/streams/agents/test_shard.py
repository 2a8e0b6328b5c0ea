"""One shard: each range once, whatever is repeated, cut, batched or crashed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock
from runtime.metrics import AgentMetrics
from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.chain import Hole
from streams.agents.config import AgentsConfig
from streams.agents.keeper import ShardKeeper
from streams.agents.memory_store import MemoryStateStore, MemoryTallyLog, MemoryTopics
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.state_records import read_checkpoints
from streams.agents.store import Fenced, TalliesLost
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import budget, budget_row, cell, control, idle, message, us

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
BUDGET = budget("b", "100")
CONTROL = control(BUDGET)
ONE = Counts(inputs=1, tallies=1)
#: Spikes have tests of their own.
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))


def told(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """What alerts say, but for when the process noticed, in an order that batching does not touch."""
    kept = [alert.model_dump(exclude={"evaluated_at"}) for alert in alerts]
    return sorted(kept, key=lambda alert: (alert["alert_id"], alert["revision"]))


def calls(shard: Shard, team: str = "search") -> int:
    shard.settle(NOON, CONTROL)
    return sum(window.sums[0] for window in shard.team_totals(team) or () if window.resolution == "month")


def test_a_range_is_applied_once() -> None:
    shard = Shard(0, ONE, CONFIG)
    first = message(0, 0, 10, NOON, [cell(NOON, calls=3)])
    assert shard.offer(first) == "applied"
    assert shard.offer(first) == "skipped"
    assert shard.offer(message(1, 0, 10, NOON, [cell(NOON, calls=3)])) == "skipped"
    assert calls(shard) == 3


def test_a_missing_message_is_a_hole_until_it_was_read_back() -> None:
    shard = Shard(0, ONE, CONFIG)
    shard.offer(message(0, 0, 10, NOON, [cell(NOON)]))
    third = message(2, 20, 30, NOON, [cell(NOON)])
    assert shard.offer(third) == Hole("log", 0, 1, 2)
    assert shard.offer(message(1, 10, 20, NOON, [cell(NOON)])) == "applied"
    assert shard.offer(third) == "applied"
    assert calls(shard) == 3


def test_a_gap_in_the_input_chain_is_named_and_makes_running_periods_unknown() -> None:
    shard = Shard(0, ONE, CONFIG)
    shard.offer(message(0, 0, 10, NOON, [budget_row(BUDGET, NOON, "1")]))
    gap = message(1, 15, 20, NOON + MINUTE, [budget_row(BUDGET, NOON, "1")])
    assert shard.offer(gap) == Hole("input", 0, 10, 15)
    assert shard.offer(gap, accept_hole=True) == "applied"
    settlement = shard.settle(NOON, CONTROL, force=True)
    assert settlement is not None
    (status,) = [value for _, value in settlement.statuses if value is not None]
    assert b'"state":"unknown"' in status
    assert b"deleted before the agents read them" in status


def test_a_range_in_parts_counts_when_it_is_whole() -> None:
    shard = Shard(0, ONE, CONFIG)
    parts = [message(at, 0, 10, NOON, [cell(NOON)], part=at, parts=3) for at in range(3)]
    assert [shard.offer(part) for part in parts[:2]] == ["held", "held"]
    assert calls(shard) == 0
    assert shard.chain.resume_offset == 0
    assert shard.offer(parts[2]) == "applied"
    assert calls(shard) == 3


def test_a_range_repeated_after_a_partial_copy_counts_once() -> None:
    shard = Shard(0, ONE, CONFIG)
    torn = message(0, 0, 10, NOON, [cell(NOON, calls=5)], part=0, parts=2)
    assert shard.offer(torn) == "held"
    for at in range(2):
        shard.offer(message(1 + at, 0, 10, NOON, [cell(NOON, calls=5)], part=at, parts=2))
    assert calls(shard) == 10


def test_a_late_row_reaches_the_windows_that_are_still_whole() -> None:
    shard = Shard(0, ONE, CONFIG)
    shard.offer(message(0, 0, 10, NOON, [cell(NOON)]))
    assert calls(shard) == 1
    three_hours_ago = NOON - 180 * MINUTE
    shard.offer(message(1, 10, 20, NOON, [cell(three_hours_ago)]))
    shard.settle(NOON, CONTROL)
    windows = {(window.resolution, window.start): window.sums[0] for window in shard.team_totals("search") or ()}
    assert ("minute", three_hours_ago) not in windows
    assert windows["hour", three_hours_ago // (60 * MINUTE) * 60 * MINUTE] == 1
    assert windows["month", us("2026-11-01T00:00:00+00:00")] == 2


def script() -> list[TallyMessage]:
    """Two input partitions over three days, with repeats, parts, late rows, heartbeats, and a period's end."""
    messages: list[TallyMessage] = []
    day = us("2026-11-29T00:00:00+00:00")
    first = [0, 0]
    for step in range(36):
        p = step % 2
        at = day + step * 2 * 60 * MINUTE
        rows = [budget_row(BUDGET, at, "7"), budget_row(BUDGET, at + 20 * MINUTE, "2"), cell(at, calls=step)]
        if step % 7 == 3:
            rows.append(budget_row(BUDGET, at - 24 * 60 * MINUTE, "1"))
        following = first[p] + 10
        copies = 2 if step % 5 == 0 else 1
        for _ in range(copies):
            if step % 6 == 1:
                for part in range(2):
                    messages.append(
                        message(len(messages), first[p], following, at, rows[part::2], partition=p, part=part, parts=2)
                    )
            else:
                messages.append(message(len(messages), first[p], following, at, rows, partition=p))
        first[p] = following
        if step % 9 == 8:
            messages.append(idle(len(messages), first[p], at, partition=p))
    return messages


def run(messages: Sequence[TallyMessage], settle_after: set[int]) -> tuple[Shard, list[Alert], dict[str, bytes]]:
    shard = Shard(0, Counts(inputs=2, tallies=1), CONFIG)
    alerts: list[Alert] = []
    statuses: dict[str, bytes] = {}
    for number, one in enumerate([*messages, None]):
        if one is not None:
            shard.offer(one)
        if one is None or number in settle_after:
            settlement = shard.settle(NOON, CONTROL, force=True)
            if settlement is not None:
                alerts += settlement.alerts
                for key, value in settlement.statuses:
                    if value is None:
                        statuses.pop(key, None)
                    else:
                        statuses[key] = value
    return shard, alerts, statuses


#: The same messages, settled once at the end.
WHOLE = run(script(), set())


@settings(max_examples=40)
@given(st.sets(st.integers(0, 60)))
def test_any_batching_tells_the_same(settle_after: set[int]) -> None:
    shard, alerts, statuses = run(script(), settle_after)
    whole, expected, expected_statuses = WHOLE
    assert told(alerts) == told(expected)
    assert {alert.level for alert in alerts if alert.kind == "budget"} == {"warning", "soft", "hard"}
    assert {alert.state for alert in alerts} == {"firing", "updated", "resolved"}
    assert shard.team_totals("search") == whole.team_totals("search")
    newest = max(statuses)
    assert statuses[newest] == expected_statuses[newest]


class Crash(Exception):
    """The process dies here."""


class World:
    """One shard's topics, and processes on it that may die."""

    def __init__(self) -> None:
        self.topics = MemoryTopics()
        self.metrics = AgentMetrics(CollectorRegistry())

    def keeper(self, crash_at: int | None = None) -> ShardKeeper:
        commits = 0

        def before_commit() -> None:
            nonlocal commits
            commits += 1
            if commits == crash_at:
                raise Crash

        store = MemoryStateStore(self.topics, before_commit)
        config = replace(CONFIG, snapshot_deltas=3)
        return ShardKeeper(0, Counts(2, 1), config, store, MemoryTallyLog(self.topics), FixedClock(NOON), self.metrics)


@settings(max_examples=15)
@given(st.data())
def test_crashes_anywhere_lose_and_repeat_nothing(data: st.DataObject) -> None:
    """Kill between offer, settle and commit, as often as hypothesis likes; the group's hint may lag or run ahead."""
    messages = script()
    world = World()
    world.topics.tallies = []
    handed = 0
    keeper = world.keeper()
    keeper.open()
    while handed < len(messages):
        world.topics.tallies = messages[: handed + 1]
        one = messages[handed]
        if not keeper.offer(one):
            keeper.fill(one)
        handed += 1
        move = data.draw(st.sampled_from(["go on", "settle", "crash", "crash in commit", "settle and crash"]))
        if move in ("settle", "crash in commit", "settle and crash"):
            settlement = keeper.settle(CONTROL, force=True)
            if settlement is not None and move == "settle":
                keeper.commit(settlement)
        if "crash" in move:
            keeper = world.keeper()
            keeper.open()
            handed = max(0, min(len(messages), handed + data.draw(st.integers(-3, 0))))
    settlement = keeper.settle(CONTROL, force=True)
    if settlement is not None:
        keeper.commit(settlement)
    whole, expected, _ = WHOLE
    assert told(world.topics.alerts) == told(expected)
    assert len({(alert.alert_id, alert.revision) for alert in world.topics.alerts}) == len(world.topics.alerts)
    reopened = Shard(0, Counts(2, 1), CONFIG)
    reopened.restore(read_checkpoints(world.topics.state))
    assert reopened.team_totals("search") == whole.team_totals("search")


def test_a_crash_inside_the_transaction_writes_nothing() -> None:
    world = World()
    keeper = world.keeper(crash_at=2)
    keeper.open()
    first = dict(world.topics.state)
    keeper.offer(message(0, 0, 10, NOON, [budget_row(BUDGET, NOON, "90")]))
    settlement = keeper.settle(CONTROL, force=True)
    assert settlement is not None
    with pytest.raises(Crash):
        keeper.commit(settlement)
    assert not world.topics.alerts
    assert world.topics.state == first


def test_an_overtaken_owner_is_fenced() -> None:
    world = World()
    old, new = world.keeper(), world.keeper()
    old.open()
    new.open()
    old.offer(message(0, 0, 10, NOON, [budget_row(BUDGET, NOON, "90")]))
    settlement = old.settle(CONTROL, force=True)
    assert settlement is not None
    with pytest.raises(Fenced):
        old.commit(settlement)
    assert not world.topics.alerts


def test_tallies_deleted_before_they_were_read_stop_the_shard() -> None:
    world = World()
    keeper = world.keeper()
    keeper.open()
    first = message(0, 0, 10, NOON, [cell(NOON)])
    keeper.offer(first)
    settlement = keeper.settle(ControlSnapshot(), force=True)
    assert settlement is not None
    keeper.commit(settlement)
    world.topics.tallies = [message(5, 50, 60, NOON + MINUTE, [cell(NOON)])]
    world.topics.low = 5
    with pytest.raises(TalliesLost, match="streamgauge rebuild"):
        world.keeper().open()


def test_a_missing_checkpoint_of_a_partition_that_was_read_stops_the_shard() -> None:
    world = World()
    world.keeper().open()
    assert world.topics.state, "a first start leaves a checkpoint before it takes anything"
    world.topics.state.clear()
    world.topics.traces = "the group has read its tallies up to offset 7"
    with pytest.raises(TalliesLost, match=r"up to offset 7: the state was lost.*streamgauge rebuild"):
        world.keeper().open()
    assert not world.topics.state


def test_nothing_changed_writes_nothing() -> None:
    shard = Shard(0, ONE, CONFIG)
    shard.offer(message(0, 0, 10, NOON, [cell(NOON)]))
    assert shard.settle(NOON, ControlSnapshot()) is not None
    shard.offer(idle(1, 10, NOON))
    assert shard.settle(NOON + 5_000_000, ControlSnapshot(), force=True) is None


def test_state_waits_its_second_but_an_alert_does_not() -> None:
    shard = Shard(0, ONE, CONFIG)
    shard.offer(message(0, 0, 10, NOON, [budget_row(BUDGET, NOON, "1")]))
    assert shard.settle(NOON, CONTROL) is not None
    shard.offer(message(1, 10, 20, NOON, [budget_row(BUDGET, NOON, "1")]))
    assert shard.settle(NOON + 300_000, CONTROL) is None
    shard.offer(message(2, 20, 30, NOON, [budget_row(BUDGET, NOON, "90")]))
    fired = shard.settle(NOON + 600_000, CONTROL)
    assert fired is not None
    assert [alert.level for alert in fired.alerts] == ["warning"]

"""A commit that hangs: folding goes on beside it for a while, then its shard takes no more tallies. One that was given
up because a stop was asked for ends nothing in disorder.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry

from runtime.clock import Clock, SystemClock
from runtime.health import Health
from runtime.metrics import AgentMetrics
from schemas.topics import Topics
from streams.agents.config import AgentsConfig
from streams.agents.custody import Custody
from streams.agents.keeper import ShardKeeper
from streams.agents.memory_store import MemoryStateStore, MemoryTallyLog, MemoryTopics
from streams.agents.shard import Counts
from streams.agents.store import Fenced, StoreBroken, StoreStopped
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import budget, budget_row, control, message, us

NOON = us("2026-11-10T12:00:00+00:00")
DEADLINE_S = 60.0
LONGEST_S = 0.3
BUDGET = budget("b")


class Hanging:
    """Called inside each transaction: the armed one stays there until it is released."""

    def __init__(self) -> None:
        self.armed, self.inside, self.released = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        if self.armed.is_set():
            self.inside.set()
            assert self.released.wait(DEADLINE_S)


def told(offset: int) -> TallyMessage:
    return message(offset, offset * 10, offset * 10 + 10, NOON, [budget_row(BUDGET, NOON, "1")])


def custody_of(
    topics: MemoryTopics,
    in_commit: Callable[[], None],
    threads: ThreadPoolExecutor,
    partitions: int = 1,
    clock: Clock | None = None,
) -> Custody:
    """`clock`: of partition 0."""
    config = AgentsConfig(settle_ms=10, checkpoint_s=0.01, longest_settle_s=LONGEST_S)

    def keeper(partition: int) -> ShardKeeper:
        own = topics if partition == 0 else MemoryTopics(partition=partition)
        store, metrics = MemoryStateStore(own, in_commit), AgentMetrics(CollectorRegistry())
        mine = clock if clock is not None and partition == 0 else SystemClock()
        return ShardKeeper(partition, Counts(1, partitions), config, store, MemoryTallyLog(own), mine, metrics)

    names = Topics("", event_partitions=1, tally_partitions=partitions)
    return Custody(config, names, keeper, lambda: control(BUDGET), Health(), threads, fence_patience_s=0.05)


async def hang_and_release(threads: ThreadPoolExecutor) -> None:
    topics, hanging = MemoryTopics(), Hanging()
    loop = asyncio.get_running_loop()
    custody = custody_of(topics, hanging, threads)
    custody.assign([0])
    await custody.take(0, told(0))
    hanging.armed.set()
    # Folding goes on beside the commit until it has lasted too long: then Faust gets no acknowledgement any more.
    offset, since = 0, loop.time()
    taking: asyncio.Task[None] | None = None
    while taking is None or taking.done():
        assert loop.time() - since < DEADLINE_S
        offset += 1
        taking = asyncio.create_task(custody.take(0, told(offset)))
        await asyncio.wait({taking}, timeout=1.0)
        while not taking.done() and not hanging.inside.is_set():
            await asyncio.wait({taking}, timeout=1.0)
    assert offset > 1, "some were taken before"
    assert custody.positions() == {0: offset}, "and this one was not"
    hanging.armed.clear()
    hanging.released.set()
    await asyncio.wait_for(taking, DEADLINE_S)
    while custody.positions() != {0: offset + 1}:
        assert loop.time() - since < DEADLINE_S, "it is let in once the shard has settled"
        await asyncio.sleep(0.01)
    await custody.close()
    assert not custody.failed.done()
    used = topics.statuses["b|2026-11-01T00:00:00+00:00"]
    assert f'"used":{(offset + 1) * 10**9}'.encode() in used, "nothing was lost or taken twice"


def test_a_shard_whose_commit_hangs_takes_no_more_tallies() -> None:
    with ThreadPoolExecutor(4) as threads:
        asyncio.run(hang_and_release(threads))


class FoldingHangs(SystemClock):
    """The time that a shard folds at: asked when it is armed, it stays there until it is released."""

    def __init__(self) -> None:
        self.hanging = Hanging()

    def now_us(self) -> int:
        self.hanging()
        return super().now_us()


async def fold_for_long(threads: ThreadPoolExecutor) -> None:
    clock, topics = FoldingHangs(), MemoryTopics()
    loop = asyncio.get_running_loop()
    custody = custody_of(topics, lambda: None, threads, partitions=2, clock=clock)
    custody.assign([0, 1])
    await custody.take(0, told(0))
    await custody.take(1, told(0))
    clock.hanging.armed.set()
    assert await loop.run_in_executor(threads, clock.hanging.inside.wait, DEADLINE_S)
    before = (custody.positions() or {})[0]
    try:
        for offset in (1, 2, 3):
            await asyncio.wait_for(custody.take(0, told(offset)), LONGEST_S)
        assert (custody.positions() or {})[0] == before, "a shard that folds is not touched"
        await asyncio.wait_for(custody.take(1, told(1)), DEADLINE_S)
    finally:
        clock.hanging.armed.clear()
        clock.hanging.released.set()
    since = loop.time()
    while custody.positions() != {0: 4, 1: 2}:
        assert loop.time() - since < DEADLINE_S, f"what waited was not let in: {custody.positions()}"
        await asyncio.sleep(0.01)
    await custody.close()
    assert not custody.failed.done()


def test_a_shard_that_folds_holds_up_nobody() -> None:
    with ThreadPoolExecutor(4) as threads:
        asyncio.run(fold_for_long(threads))


async def stop_in_a_commit(threads: ThreadPoolExecutor) -> None:
    stopping = threading.Event()

    def given_up() -> None:
        if stopping.is_set():
            raise StoreStopped("stopped while tally partition 0 waited for Kafka")

    topics = MemoryTopics()
    custody = custody_of(topics, given_up, threads)
    custody.assign([0])
    await custody.take(0, told(0))
    stopping.set()
    await custody.take(0, told(1))
    await custody.close()
    assert not custody.failed.done(), "the next owner reads what stands"


def test_a_commit_given_up_for_a_stop_is_no_failure() -> None:
    with ThreadPoolExecutor(4) as threads:
        asyncio.run(stop_in_a_commit(threads))


async def break_in_commits(threads: ThreadPoolExecutor, error: Exception) -> None:
    left = [2]

    def breaks() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    topics = MemoryTopics()
    custody = custody_of(topics, breaks, threads)
    custody.assign([0])
    for offset in range(20):
        topics.tallies.append(told(offset))
        await custody.take(0, told(offset))
        await asyncio.sleep(0.01)
    await custody.close()
    assert not custody.failed.done()
    assert not left[0]
    used = topics.statuses["b|2026-11-01T00:00:00+00:00"]
    assert f'"used":{20 * 10**9}'.encode() in used, "nothing was lost or taken twice"


@pytest.mark.parametrize(
    "error", [StoreBroken("the transaction was lost"), Fenced("given up by Kafka")], ids=["broken", "fenced"]
)
def test_a_shard_that_is_still_ours_is_opened_again_from_what_stands(error: Exception) -> None:
    with ThreadPoolExecutor(4) as threads:
        asyncio.run(break_in_commits(threads, error))


async def lose_a_shard(threads: ThreadPoolExecutor) -> None:
    """Fenced, and then the group says why: nothing is opened again."""
    topics = MemoryTopics()
    topics.tallies.append(told(0))

    def fenced() -> None:
        topics.epoch += 1
        raise Fenced("another process has it")

    custody = custody_of(topics, fenced, threads)
    custody.assign([0])
    taking = asyncio.create_task(custody.take(0, told(0)))
    while not topics.epoch:
        await asyncio.wait({taking}, timeout=0.05)
    await custody.revoke([0])
    await asyncio.wait_for(taking, DEADLINE_S)
    epoch = topics.epoch
    await asyncio.sleep(0.2)
    assert topics.epoch == epoch, "the new owner was left in peace"
    assert not custody.failed.done()


def test_a_shard_that_another_process_has_is_let_go() -> None:
    with ThreadPoolExecutor(4) as threads:
        asyncio.run(lose_a_shard(threads))

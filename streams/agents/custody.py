"""In: partitions assigned and revoked, and their messages. Out: one keeper per partition we own, settled in its rhythm.

Blocking work (opening, folding, committing, reading back) runs in threads, so that the event loop keeps the group's
heartbeats going. One lock per shard keeps folding apart from offering; commits of one shard follow one another
because its one task makes them. What comes for a shard while it folds waits beside it: the messages of all shards come
through one door, and a shard that folds must not close it for the others. Few shards fold at a time: they would only
take the processors, and the interpreter, from one another, and all of them would be late instead of the last.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Final, TypeVar

import structlog

from runtime.admin import Mismatch, PartitionMismatch
from runtime.health import Health
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import SPECS, Topics
from streams.agents.config import AgentsConfig
from streams.agents.keeper import ShardKeeper
from streams.agents.store import Fenced, StoreBroken, StoreStopped
from streams.agents.tally_message import TallyMessage
from streams.agents.windows import TeamWindow

_log = structlog.get_logger("agents")
T = TypeVar("T")

#: Shards that fold at the same time.
_FOLDING: Final = 2
#: Messages that wait beside a shard at most; a further one closes the door.
_WAITING: Final = 2_000


class _Held:
    """One shard in our hands. `ready` ends when it is open; `task` opens, then settles until `leaving`."""

    def __init__(self, keeper: ShardKeeper) -> None:
        self.keeper = keeper
        self.lock = asyncio.Lock()
        #: What came while it was locked, in order, and the rows of it.
        self.waiting: deque[TallyMessage] = deque()
        self.waiting_rows = 0
        self.ready = asyncio.Event()
        self.leaving = asyncio.Event()
        self.full = asyncio.Event()
        #: Set while no settlement runs; `began` is when the last one did, by the loop's clock.
        self.settled = asyncio.Event()
        self.settled.set()
        self.began = 0.0
        self.task: asyncio.Task[None] | None = None


class Custody:
    """All shards of this worker. `failed` is set with the error that must end the process.

    `fence_patience_s`: longer than a session of the group, which tells within one whose a shard is.
    """

    def __init__(
        self,
        config: AgentsConfig,
        topics: Topics,
        make: Callable[[int], ShardKeeper],
        control: Callable[[], ControlSnapshot],
        health: Health,
        threads: Executor,
        fence_patience_s: float = 60.0,
    ) -> None:
        self._fence_patience_s = fence_patience_s
        self._config, self._topics, self._make, self._control = config, topics, make, control
        self._health, self._threads = health, threads
        self._held: dict[int, _Held] = {}
        self._folding = asyncio.Semaphore(_FOLDING)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def partitions(self) -> set[int]:
        return set(self._held)

    def assign(self, partitions: Iterable[int]) -> None:
        """Begin to open what is new; messages of it wait in `take` until it is open. Nothing to open is ready too."""
        partitions = list(partitions)
        self._health.holds(self._topics.tallies, self._held.keys() | set(partitions))
        beyond = [partition for partition in partitions if partition >= self._topics.tally_partitions]
        if beyond and not self.failed.done():
            # The topic was made larger: teams would move to other shards, without what they have used so far.
            self.failed.set_exception(_grown(self._topics, beyond))
            return
        if not partitions and not self._held:
            self._health.ready(True)
        for partition in partitions:
            if partition not in self._held:
                held = _Held(self._make(partition))
                self._held[partition] = held
                held.task = asyncio.create_task(self._keep(held))

    async def revoke(self, partitions: Iterable[int]) -> None:
        """Settle and commit what we still own, then let go. A shard that was taken from us is dropped unwritten."""
        leaving = [self._held.pop(partition) for partition in partitions if partition in self._held]
        self._health.holds(self._topics.tallies, self._held.keys())
        for held in leaving:
            held.leaving.set()
            held.full.set()
        for held in leaving:
            if held.task is not None:
                await held.task

    async def take(self, partition: int, message: TallyMessage) -> None:
        """Offer one message to its shard; dropped when the partition is not ours (any more): its owner reads it."""
        held = self._held.get(partition)
        if held is None:
            return
        await held.ready.wait()
        took_s = asyncio.get_running_loop().time() - held.began
        if not held.settled.is_set() and took_s > self._config.longest_settle_s:
            # Taking no more lets the group's offsets stand still, which is what health looks at.
            await held.settled.wait()
        rows = 0 if message.table is None else message.table.num_rows
        if (
            held.lock.locked()
            and len(held.waiting) < _WAITING
            and held.waiting_rows + rows <= self._config.pending_rows
            and not held.leaving.is_set()
        ):
            held.waiting.append(message)
            held.waiting_rows += rows
            self._health.progress()
            return
        async with held.lock:
            if held.leaving.is_set():
                return
            await self._let_in(held)
            await self._offer(held, message)
        if held.keeper.shard.pending_rows >= self._config.pending_rows:
            held.full.set()
        self._health.progress()

    async def _let_in(self, held: _Held) -> None:
        """Offer what waits. Its shard is locked by whoever calls."""
        while held.waiting:
            message = held.waiting.popleft()
            held.waiting_rows -= 0 if message.table is None else message.table.num_rows
            await self._offer(held, message)

    async def _offer(self, held: _Held, message: TallyMessage) -> None:
        if not held.ready.is_set():
            # It is opened again: opening reads the log to its end, this message included.
            return
        if not held.keeper.offer(message):
            await self._run(held.keeper.fill, message)

    async def _keep(self, held: _Held) -> None:
        """Open, settle in rhythm, settle a last time, close. A shard whose store broke, or that was fenced and is
        not taken away, is opened again from what stands; any other failure ends the process: its successor starts
        clean.
        """
        try:
            while not await self._serve(held):
                held.keeper.close()
                held.keeper = self._make(held.keeper.partition)
        except StoreStopped as stopped:
            # A stop was asked for while Kafka was away: the next owner reads what stands and goes on from there.
            _log.info("agents.left_unsettled", partition=held.keeper.partition, why=str(stopped))
        except Exception as failure:  # noqa: BLE001 - whatever it is, `run` raises it and the process ends
            if not self.failed.done():
                self.failed.set_exception(failure)
        finally:
            held.ready.set()
            held.leaving.set()
            held.keeper.close()

    async def _serve(self, held: _Held) -> bool:
        """From opening to leaving. False: the store broke, and what was taken since its last commit is read anew."""
        try:
            await self._run(held.keeper.open)
            held.ready.set()
            self._health.ready(all(other.ready.is_set() for other in self._held.values()))
            while not held.leaving.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(held.full.wait(), self._config.settle_ms / 1_000)
                if not held.leaving.is_set():
                    held.full.clear()
                    await self._settle(held, force=False)
            await self._settle(held, force=True)
        except Fenced as fenced:
            # Another process has the shard, and the group tells us so within a session; or Kafka gave up a transaction
            # of ours that its own crash had kept open too long, and the shard stays ours.
            held.ready.clear()
            self._health.failing(str(fenced))
            _log.warning("agents.fenced", partition=held.keeper.partition, why=str(fenced))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(held.leaving.wait(), self._fence_patience_s)
            return held.leaving.is_set()
        except StoreBroken as broken:
            held.ready.clear()
            self._health.failing(str(broken))
            _log.warning("agents.opened_again", partition=held.keeper.partition, why=str(broken))
            return held.leaving.is_set()
        return True

    async def _settle(self, held: _Held, *, force: bool) -> None:
        held.began = asyncio.get_running_loop().time()
        held.settled.clear()
        try:
            corrections = await self._run(held.keeper.catch_up) if held.keeper.is_behind else None
            async with held.lock:
                await self._let_in(held)
                if corrections is not None:
                    held.keeper.adjust(corrections)
                async with self._folding:
                    settlement = await self._run(held.keeper.settle, self._control(), force)
                await self._let_in(held)
            if settlement is not None:
                await self._run(held.keeper.commit, settlement)
                self._health.progress()
        finally:
            held.settled.set()

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def positions(self) -> dict[int, int] | None:
        """Next tally offset of every open shard; None while one is still opening."""
        if not all(held.ready.is_set() for held in self._held.values()):
            return None
        return {partition: held.keeper.shard.chain.next_offset for partition, held in self._held.items()}

    async def close(self) -> None:
        """Let go of everything, in order."""
        await self.revoke(sorted(self._held))

    async def totals(self, team: str, partition: int) -> list[TeamWindow] | None:
        """The team's windows; None when its shard is not here or has never seen it."""
        held = self._held.get(partition)
        if held is None:
            return None
        await held.ready.wait()
        async with held.lock:
            return held.keeper.shard.team_totals(team)


def _grown(topics: Topics, beyond: list[int]) -> PartitionMismatch:
    spec = next(spec for spec in SPECS if topics.name(spec.name) == topics.tallies)
    return PartitionMismatch([Mismatch(spec, topics.tallies, max(beyond) + 1, topics.tally_partitions)])

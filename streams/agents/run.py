"""In: settings, Kafka, a clock. Out: the running control plane; returns when the process is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import faust
import numpy as np
import pyarrow as pa
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from runtime.admin import list_partitions, refuse_mismatch
from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.control_log import ControlFollower, ControlLog
from runtime.health import Health
from runtime.metrics import AgentMetrics
from schemas.topics import Topics
from streams.agents.app import make_app
from streams.agents.base.asker import BaseAsker
from streams.agents.beside import Beside
from streams.agents.config import AgentsConfig
from streams.agents.custody import Custody
from streams.agents.history import BaseHistory
from streams.agents.investigation.detail import SpendingDetail
from streams.agents.investigation.investigator import Investigator
from streams.agents.kafka_adjustments import KafkaAdjustmentLog
from streams.agents.kafka_store import KafkaStateStore, KafkaTallyLog
from streams.agents.keeper import ShardKeeper
from streams.agents.reviews.questions import ReviewSource
from streams.agents.reviews.reviewer import Reviewer
from streams.agents.shard import Counts
from streams.agents.totals_web import serve_totals

_log = structlog.get_logger("agents")

#: How often a quiet input is asked whether it is empty.
_IDLE_CHECK_S: Final = 5.0
#: How long leaving the group may take before the process goes without it.
_STOP_S: Final = 20.0
#: How long joining the group may take before it is tried anew. Kafka answered a moment before.
_START_S: Final = 60.0


class NeverStarted(RuntimeError):
    """Faust has not joined the group: a broker that dies while it looks for the coordinator leaves it waiting."""


def run_agents(
    config: AgentsConfig,
    connection: KafkaConnection,
    topics: Topics,
    clock: Clock,
    registry: CollectorRegistry,
    health: Health,
    halt: threading.Event | None = None,
    open_history: Callable[[], BaseHistory] | None = None,
    open_detail: Callable[[], SpendingDetail] | None = None,
    open_reviews: Callable[[], ReviewSource] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; call it on the main thread. Owns the process's event loop. `halt`: whether a stop
    was asked for before that loop could hear of it. `open_history`: who is asked for the past of new budgets,
    `open_detail`: for what rose when a budget crosses a level, `open_reviews`: for slow reviews; None: nobody.

    Raises PartitionMismatch when the topics differ from the settings, and whatever else must end the process.
    """
    found = list_partitions(AdminClient(connection.librdkafka()))
    refuse_mismatch(topics, found)
    missing = sorted({topics.tallies, topics.state, topics.alerts, topics.status, topics.control} - found.keys())
    if missing:
        # Faust would wait for ever, without a word, for a topic that is not there when it starts.
        raise RuntimeError(f"topics {', '.join(missing)} do not exist: run `streamgauge topics` first")
    # Where pandas is installed, pyarrow imports it at its first array: seconds that must not fall into a settlement.
    pa.array(np.zeros(1))
    control = ControlLog(connection, topics.control)
    control.read_to_end()
    follower = ControlFollower(control, lambda _: None)
    follower.start()
    try:
        with tempfile.TemporaryDirectory(prefix="streamgauge-agents-") as folder:
            metrics, has_adjustments = AgentMetrics(registry), topics.adjustments in found
            ended = False
            while not ended and not (halt is not None and halt.is_set()):
                beside = Beside(
                    None if open_history is None else BaseAsker(open_history, clock),
                    None if open_detail is None else Investigator(open_detail, clock),
                    None if open_reviews is None else Reviewer(open_reviews, clock, metrics.reviews),
                )
                worker = _Worker(
                    config, connection, topics, clock, metrics, health, control, Path(folder), has_adjustments, beside
                )
                try:
                    asyncio.run(worker.run(halt))
                    ended = True
                except NeverStarted as never:
                    _log.warning("agents.start_again", why=str(never))
                    health.failing(str(never))
    finally:
        follower.stop()


class _Worker:
    """One process of the control plane."""

    def __init__(
        self,
        config: AgentsConfig,
        connection: KafkaConnection,
        topics: Topics,
        clock: Clock,
        metrics: AgentMetrics,
        health: Health,
        control: ControlLog,
        folder: Path,
        has_adjustments: bool,
        beside: Beside,
    ) -> None:
        self._config, self._connection, self._topics, self._clock = config, connection, topics, clock
        self._health, self._control, self._folder = health, control, folder
        self._metrics, self._beside = metrics, beside
        self._tallies = KafkaTallyLog(connection, topics, config.group)
        self._stopping = threading.Event()
        self._adjustments: KafkaAdjustmentLog | None = None
        if has_adjustments:
            self._adjustments = KafkaAdjustmentLog(connection, topics, self._stopping)
            self._adjustments.start()
        else:
            _log.warning("agents.no_adjustments", topic=topics.adjustments, consequence="corrections are not added")
        beside.start()

    async def run(self, halt: threading.Event | None) -> None:
        """Start, wait for a signal or a failure, stop. Leaving, every shard is settled and committed a last time."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if halt is not None and halt.is_set():
            stop.set()
        # One thread per shard at most: while Kafka is away, every shard waits in its own commit.
        with ThreadPoolExecutor(self._topics.tally_partitions + 2, thread_name_prefix="shard") as threads:
            custody = Custody(
                self._config,
                self._topics,
                self._keeper,
                lambda: self._control.snapshot,
                self._health,
                threads,
                fence_patience_s=1.5 * self._connection.session_timeout_ms / 1_000,
            )

            def fail(failure: Exception) -> None:
                if not custody.failed.done():
                    custody.failed.set_exception(failure)

            app = make_app(self._config, self._connection, self._topics, custody, self._folder, fail)
            totals = await serve_totals(custody, self._config.web_port, self._topics.tally_partitions)
            starting = asyncio.create_task(app.start())
            watching = asyncio.create_task(self._watch_idle(custody, threads))
            starting.add_done_callback(partial(_hear, fail))
            overdue = asyncio.create_task(_limit(starting))
            overdue.add_done_callback(partial(_hear, fail))
            watching.add_done_callback(partial(_hear, fail))
            ended = asyncio.create_task(stop.wait())
            crashed = asyncio.create_task(app.wait_until_stopped())
            waited: list[asyncio.Future[Any]] = [ended, crashed, custody.failed, watching]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            self._health.ready(False)
            for task in (starting, overdue, watching, ended, crashed):
                task.cancel()
            await asyncio.gather(starting, overdue, watching, ended, crashed, return_exceptions=True)
            await self._stop_app(app)
            await custody.close()
            if self._adjustments is not None:
                self._adjustments.stop()
            self._beside.stop()
            if totals is not None:
                await totals.cleanup()
            if custody.failed.done():
                custody.failed.result()
            if app.crashed:
                raise RuntimeError(f"Faust stopped: {app._crash_reason!r}")

    async def _stop_app(self, app: faust.App) -> None:
        """Leave the group. Faust waits without an end for a coordinator that is away: the process does not."""
        try:
            await asyncio.wait_for(app.stop(), _STOP_S)
        except TimeoutError:
            _log.warning(
                "agents.left_without_farewell", seconds=_STOP_S, consequence="the group notices by its session"
            )

    def _keeper(self, partition: int) -> ShardKeeper:
        store = KafkaStateStore(partition, self._connection, self._topics, self._health, self._stopping)
        counts = Counts(self._topics.event_partitions, self._topics.tally_partitions)
        return ShardKeeper(
            partition,
            counts,
            self._config,
            store,
            self._tallies,
            self._clock,
            self._metrics,
            self._adjustments,
            self._beside,
        )

    async def _watch_idle(self, custody: Custody, threads: ThreadPoolExecutor) -> None:
        """An input that is read to its end is as good as progress; one that is not, and stands still, is not."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_IDLE_CHECK_S)
            positions = custody.positions()
            if positions is None:
                continue
            try:
                is_read = await loop.run_in_executor(threads, self._tallies.is_read, positions)
            except KafkaException as error:
                # Whether something is left to read is not known now, and nothing else hangs on the answer.
                _log.info("agents.idle_unknown", why=error.args[0].str())
                continue
            if is_read:
                self._health.idle()


async def _limit(starting: asyncio.Task[Any]) -> None:
    """Raises NeverStarted when the start takes too long."""
    done, _ = await asyncio.wait({starting}, timeout=_START_S)
    if not done:
        raise NeverStarted(f"Faust has not joined the group within {_START_S:.0f} s")


def _hear(fail: Callable[[Exception], None], task: asyncio.Task[Any]) -> None:
    """A task that ends with an error ends the process with that error, not in silence."""
    if not task.cancelled() and isinstance(failure := task.exception(), Exception):
        fail(failure)

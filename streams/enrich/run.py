"""In: `usage.events`. Out: enriched blocks, tallies, rejections and fingerprints, and offsets that never run ahead of
them.

The loop, per batch (design: "How once is once"):

1. consume [first, next) of each assigned partition;
2. intent: commit `first` with the metadata `next=N,control=C`, synchronously; enrich in memory;
3. produce the outputs, headed (partition, first, next, part), and await every acknowledgement;
4. take the new hashes and watermarks into memory. The next batch's intent is also this batch's completion; when the
   input is empty, the completion is committed alone.

A crash after 1 loses nothing: nothing was said. After 2, or anywhere in 3: the next owner reads the intent and repeats
exactly [first, next) by the control documents of position C, also when a budget or a team has changed since; readers
skip the outputs that are already there and take those that were missing. After 4: the same, and every output is
recognised as there. A stalled process is refused at 2 and drops its batch.

What is away is waited for wherever it is missed. Told to stop meanwhile, the worker leaves the batch as a crash would,
to be repeated. A worker that refuses nearly everything stops between 2 and 3 (see `streams.enrich.reject_limit`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import structlog
from prometheus_client import CollectorRegistry

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from runtime.health import Health
from runtime.metrics import EnrichMetrics
from schemas.control.snapshot import ControlSnapshot
from schemas.decoding import SchemaSource, SchemaSourceAway
from schemas.prices.card import Provisional
from schemas.topics import Topics
from streams.enrich.batch import BatchResult, SourceBatch
from streams.enrich.commits import PartitionsLost
from streams.enrich.config import EnrichConfig
from streams.enrich.fingerprint_log import FingerprintLog
from streams.enrich.outputs import heartbeats, outputs
from streams.enrich.partition_counts import refuse_other_counts
from streams.enrich.patience import Patience, Stopping
from streams.enrich.pipeline import Pipeline
from streams.enrich.publisher import Publisher
from streams.enrich.reject_limit import RejectionLimit, RejectPolicy, RejectWatch
from streams.enrich.rules import Rules, RulesCompiler
from streams.enrich.source import EventSource

_log = structlog.get_logger("enrich")

#: A partition read to its end says so after this long, and again in this rhythm: a burst's gaps are not idleness.
IDLE_AFTER_S = 5.0
IDLE_AGAIN_S = 30.0


class Enricher:
    """One worker's loop over the partitions that the group gives it. `step` is one turn; `run_enrich` turns it."""

    def __init__(
        self,
        config: EnrichConfig,
        connection: KafkaConnection,
        topics: Topics,
        clock: Clock,
        metrics: EnrichMetrics,
        health: Health,
        schemas: SchemaSource | None,
        halt: threading.Event | None = None,
    ) -> None:
        self._patience = Patience(halt, health.failing)
        self._connection = connection
        self._topics = topics
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._lateness_us = config.lateness_s * 1_000_000
        self._control = ControlLog(connection, topics.control)
        self._control.read_to_end()
        self._rules = RulesCompiler(
            Provisional(config.provisional_input_usd_per_mtok, config.provisional_output_usd_per_mtok)
        )
        self._pipeline = Pipeline(config, topics.events, topics.tally_partitions, schemas)
        self._publisher = Publisher(connection, self._patience)
        self._rejects = RejectWatch(
            RejectPolicy(config.reject_limit_share, config.reject_limit_events, config.reject_limit_run)
        )
        horizon_us = config.dedupe_horizon_s * 1_000_000
        self._source = EventSource(
            connection,
            topics.events,
            config.group,
            FingerprintLog(
                connection, topics.fingerprints, config.group, horizon_us, config.dedupe_max_ids, self._patience
            ),
            clock.now_us,
            config.batch_messages,
            config.poll_ms / 1_000,
            patience=self._patience,
            accept_missing_window=config.accept_missing_window,
            holds=self._holds,
        )
        self._held: set[int] = set()
        #: When each partition last said that it is idle, and what its position was then.
        self._said_idle: dict[int, tuple[float, int]] = {}
        self._completed: dict[int, int] = {}
        self._gauged_at = float("-inf")

    def step(self) -> int:
        """One batch, or one look at an empty input. Returns how many messages were taken in."""
        try:
            return self._step()
        except Stopping:
            # Kafka may be away: leaving must not ask it anything, and the next owner repeats what is not completed.
            self._source.drop()
            raise

    def _step(self) -> int:
        batch = self._source.next_batch()  # 1
        if batch is None:
            self._rest()
            return 0
        try:
            self._enrich(batch)
        except PartitionsLost as lost:
            _log.info("enrich.batch_dropped", reason=str(lost))
            self._source.drop()
        return len(batch.values)

    def close(self) -> None:
        """Leave the group: its callbacks commit what is complete."""
        self._source.close()
        self._control.close()

    def _enrich(self, batch: SourceBatch) -> None:
        rules = self._rules.compile(self._documents(batch))
        self._source.write_intent(batch.ranges, rules.position)  # 2
        with self._timed("enrich"):
            result = self._run(batch, rules)
        self._refuse_no_more(batch, result)
        with self._timed("publish"):
            self._publisher.publish(outputs(result, self._topics, self._lateness_us, self._clock.now_us()))  # 3
        for done in result.partitions:  # 4
            state = self._source.states[done.range.partition]
            state.window.add(done.fingerprints)
            state.position, state.intended, state.repeat = done.range.next, None, None
            state.greatest_us = done.greatest_us
            state.newest_append_us = done.ledger.append_us
            self._completed.pop(done.range.partition, None)
        self._measure(result)
        self._health.ready(True)
        self._health.progress()

    def _documents(self, batch: SourceBatch) -> ControlSnapshot:
        """The control documents of the position that the batch was begun by, else the newest."""
        newest = self._control.poll()
        if batch.control is None:
            return newest
        wait = self._patience.begin("kafka.waiting")
        while True:
            try:
                return self._control.at(batch.control)
            except TimeoutError as away:
                wait.pause(str(away))

    def _run(self, batch: SourceBatch, rules: Rules) -> BatchResult:
        """The pipeline's result. While the registry is away the batch waits: its intent stands, nothing is refused, and
        the worker stays in the group. Raises PartitionsLost, when its partitions moved meanwhile, and Stopping.
        """
        wait = self._patience.begin("registry.waiting")
        while True:
            try:
                return self._pipeline.run(batch, rules, self._source.states)
            except SchemaSourceAway as away:
                wait.pause(str(away))
                self._source.stay()

    def _refuse_no_more(self, batch: SourceBatch, result: BatchResult) -> None:
        """Raises RejectionLimit when the batch would dead-letter what looks like good events."""
        try:
            self._rejects.look(result, repeats_a_stop=batch.stopped)
        except RejectionLimit:
            self._source.mark_stopped(batch.ranges, result.control)
            raise

    def _rest(self) -> None:
        """Nothing came: complete what was done, and say which partitions are read to their end."""
        if self._source.outside():
            return
        states = self._source.states
        unfinished = [
            partition
            for partition, state in states.items()
            if self._completed.get(partition) != state.position and state.repeat is None
        ]
        if unfinished:
            try:
                self._source.write_completion(unfinished)
            except PartitionsLost as lost:
                _log.info("enrich.completion_refused", reason=str(lost))
                self._source.drop()
                return
            self._completed.update({partition: states[partition].position for partition in unfinished})
        now = time.monotonic()
        for partition, end in list(self._source.ends.reached.items()):
            state = states.get(partition)
            if state is None or now - end.since < IDLE_AFTER_S:
                continue
            said_at, said_position = self._said_idle.get(partition, (float("-inf"), -1))
            if said_position != state.position or now - said_at >= IDLE_AGAIN_S:
                position = self._control.poll().position
                beats = heartbeats(partition, state, position, self._topics, self._lateness_us, self._clock.now_us())
                self._publisher.publish(beats)
                self._said_idle[partition] = (now, state.position)
        if self._source.joined:
            self._health.ready(True)
        if self._source.empty():
            self._health.idle()
        self._gauge()

    def _holds(self, partitions: Collection[int]) -> None:
        """Tell what this worker holds now. Raises PartitionMismatch where Kafka has other counts than the settings."""
        self._health.holds(self._topics.events, partitions)
        for partition in self._held - set(partitions):
            self._said_idle.pop(partition, None)
            self._completed.pop(partition, None)
            self._metrics.forget(partition)
        gained = set(partitions) - self._held
        self._held = set(partitions)
        if gained:
            refuse_other_counts(self._connection, self._topics, partitions)

    def _measure(self, result: BatchResult) -> None:
        for done in result.partitions:
            ledger = done.ledger
            self._metrics.events.labels("enriched").inc(ledger.enriched)
            self._metrics.events.labels("duplicate").inc(ledger.duplicates)
            self._metrics.events.labels("rejected").inc(ledger.rejected)
            self._metrics.late.inc(ledger.late)
            self._metrics.unattributed.inc(ledger.unattributed)
            for rejection in done.rejections:
                self._metrics.rejected.labels(rejection.code).inc()
        self._metrics.unpriced.inc(result.unpriced)
        for claim, lost in asdict(result.conflicts).items():
            self._metrics.conflicts.labels(claim).inc(lost)
        self._metrics.unkeyed.inc(result.unkeyed)
        self._gauge()

    def _gauge(self) -> None:
        """Once a second: what is looked at here takes longer than a small batch."""
        now = time.monotonic()
        if now - self._gauged_at < 1.0:
            return
        self._gauged_at = now
        for partition, lag in self._source.lag().items():
            self._metrics.lag.labels(str(partition)).set(lag)
        for partition, state in self._source.states.items():
            self._metrics.window_ids.labels(str(partition)).set(len(state.window))
            self._metrics.horizon.labels(str(partition)).set(state.window.horizon_minutes_held() * 60)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        with self._metrics.batch_seconds.labels(step).time():
            yield


def run_enrich(
    config: EnrichConfig,
    connection: KafkaConnection,
    topics: Topics,
    clock: Clock,
    halt: threading.Event,
    registry: CollectorRegistry,
    health: Health,
    schemas: SchemaSource | None = None,
) -> None:
    """Enrich until `halt` is set. Raises on what waiting does not mend: see the errors of source, publisher and log."""
    enricher = Enricher(config, connection, topics, clock, EnrichMetrics(registry), health, schemas, halt)
    try:
        while not halt.is_set():
            enricher.step()
    except Stopping as left:
        _log.info("enrich.stopping", waited_for=str(left))
    finally:
        enricher.close()

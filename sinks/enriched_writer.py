"""In: `usage.enriched`. Out: rows of `usage_events_raw` and `usage_ledger`, each source range once.

When a partition is assigned, its place is read from the ledger in ClickHouse, which rules; Kafka's committed offset is
a hint for people, and its metadata the intent of the owner before. Then, for each partition, about once a second:

1. collect the ranges that continue the chain: skip what is applied, read back what is missing;
2. *intent*: commit the offset of the first message with metadata that names [first, next), and wait for the answer. The
   broker refuses it from a member that lost the partition: a stalled process stops here;
3. insert the events under the token `LOG:PARTITION:FIRST-NEXT`;
4. insert the ledger rows under the same token;
5. commit the offset behind the last message.

A crash before 2 loses nothing: the ranges are read again. After 2 or 3 the next owner reads the intent, collects
exactly [first, next) and repeats 3 under the same token, which inserts only what is missing. After 4 the ledger says
that the range is applied, and the next owner skips it. 5 decides nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import pyarrow as pa
import structlog
from confluent_kafka import Message, TopicPartition

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.log_identity import log_identity
from runtime.metrics import SinkMetrics
from schemas.topics import Topics
from sinks.chain import Chain
from sinks.config import SinkConfig
from sinks.database import Database
from sinks.errors import SinkError
from sinks.event_rows import by_months, event_rows
from sinks.intents import read_intent
from sinks.ledger import ChainEnd, chain_end, ledger_rows
from sinks.membership import AssignmentChanged, Halted, Membership
from sinks.ranges import RangeBlock

_log = structlog.get_logger("sink")

EVENTS_TABLE: Final = "usage_events_raw"
LEDGER_TABLE: Final = "usage_ledger"
_KAFKA_TIMEOUT_S: Final = 30.0


class EnrichedWriter:
    """Writes what the partitions assigned to this process hold. One thread."""

    def __init__(
        self,
        config: SinkConfig,
        connection: KafkaConnection,
        topics: Topics,
        open_database: Callable[[], Database],
        clock: Clock,
        halt: threading.Event,
        metrics: SinkMetrics,
        health: Health,
    ) -> None:
        self._config, self._clock, self._halt = config, clock, halt
        self._metrics, self._health = metrics, health
        self._topic = topics.enriched
        self._log_id = log_identity(connection, topics.events)
        self._open_database = open_database
        self._opened: Database | None = None
        self._chains: dict[int, Chain] = {}
        #: Partitions that are read anew from elsewhere: what is left of the batch in hand is not theirs any more.
        self._moved: set[int] = set()
        self._loaded = 0
        self._measured_at = 0.0
        group = f"{topics.prefix}{config.group}"
        self._member = Membership(config, connection, group, [self._topic], clock, halt, health, assign=False)

    def run(self) -> None:
        """Write until told to stop. Raises SinkError and KafkaException for what waiting does not mend."""
        try:
            while not self._halt.is_set():
                try:
                    self._turn()
                except AssignmentChanged:
                    # What was pending belongs to another owner, who finds the intent.
                    self._chains = {}
        except Halted:
            pass
        finally:
            self._member.close()
            if self._opened is not None:
                self._opened.close()

    def _turn(self) -> None:
        messages = self._member.consume()
        if self._member.generation != self._loaded:
            self._chains = {}
            self._load()
            return
        self._moved = set()
        for message in messages:
            if message.partition() not in self._moved:
                self._accept(message)
        now = self._clock.monotonic()
        for chain in self._chains.values():
            if chain.due(now, self._config.flush_rows, self._config.flush_s):
                self._flush(chain)
        if not messages and not any(chain.pending for chain in self._chains.values()):
            self._health.idle()
        self._measure_lag(now)

    def _load(self) -> None:
        """Find the place of every assigned partition and begin to read there."""
        generation, places = self._member.generation, self._member.assigned
        starts, chains = [], {}
        for committed in self._member.consumer.committed(places, timeout=_KAFKA_TIMEOUT_S) if places else []:
            partition = committed.partition
            end = self._member.patiently(
                f"the question up to where usage_ledger has partition {partition}",
                partial(self._chain_end, partition),
            )
            low, high = self._member.consumer.get_watermark_offsets(committed, timeout=_KAFKA_TIMEOUT_S)
            chain = Chain(partition, end.applied if end else None, end.resume if end else None)
            intent = read_intent(committed.metadata)
            if intent is not None and (chain.applied is None or intent.first == chain.applied):
                chain.intent = intent
            # Behind the end: usage.enriched was made anew, and its chain is read from the beginning.
            start = low if end is None or not low <= end.resume <= high else end.resume
            starts.append(TopicPartition(self._topic, partition, start))
            chains[partition] = chain
            _log.info(
                "sink.place", partition=partition, applied=chain.applied, offset=start, intent=chain.intent is not None
            )
        self._member.start_at(starts)
        self._chains, self._loaded = chains, generation
        self._health.ready(True)

    def _chain_end(self, partition: int) -> ChainEnd | None:
        return chain_end(self._database(), self._log_id, partition, accept_gaps=self._config.accept_gaps)

    def _accept(self, message: Message) -> None:
        """Step 1 for one message."""
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        chain = self._chains.get(partition)
        if chain is None:
            return
        block = chain.assembler.feed(offset, message.headers(), message.value())
        if block is None:
            return
        placement = chain.place(block)
        if placement == "skipped":
            self._metrics.skipped.inc()
            self._health.progress()
            return
        if placement == "hole" and not self._seek_back(chain, block):
            return
        chain.take(block, self._clock.monotonic())
        # An intent ends at an exact range, and one insert stays below the size at which ClickHouse cuts a block in two.
        if chain.intent is not None or chain.rows >= self._config.flush_rows:
            now = self._clock.monotonic()
            if chain.due(now, self._config.flush_rows, self._config.flush_s):
                self._flush(chain)

    def _seek_back(self, chain: Chain, block: RangeBlock) -> bool:
        """A range is missing before `block`: read it back. True: it is lost, and the settings say to go on behind
        it.
        """
        if chain.pending:
            self._flush(chain)
        if chain.pending:
            # The flush was refused for now: the same hole is met again after it.
            self._restart(chain)
            return False
        if chain.sought != chain.applied:
            chain.sought = chain.applied
            _log.warning("sink.hole", partition=chain.partition, applied=chain.applied, met=block.source.first)
            self._restart(chain)
            return False
        if self._config.accept_gaps:
            _log.error(
                "sink.gap_accepted", partition=chain.partition, lost_from=chain.applied, lost_to=block.source.first
            )
            chain.applied = None
            return True
        raise SinkError(
            f"{self._topic} partition {chain.partition}: source offsets {chain.applied} to {block.source.first - 1} "
            f"are not in ClickHouse and no longer on the topic (met at offset {block.first_offset}). If its retention "
            "took them, start the sink once with accept_gaps (STREAMGAUGE_SINK__ACCEPT_GAPS=true): it goes on behind, "
            "and `streamgauge reconcile` names what is missing"
        )

    def _restart(self, chain: Chain) -> None:
        """Read the partition again from behind what is applied, or from its beginning where that is not known."""
        low, high = self._member.consumer.get_watermark_offsets(
            TopicPartition(self._topic, chain.partition), timeout=_KAFKA_TIMEOUT_S
        )
        chain.forget()
        start = chain.resume if chain.resume is not None and low <= chain.resume <= high else low
        self._member.consumer.seek(TopicPartition(self._topic, chain.partition, start))
        self._moved.add(chain.partition)

    def _flush(self, chain: Chain) -> None:
        """Steps 2 to 5 for what is pending in one partition."""
        plan = chain.planned()
        blocks = list(chain.pending)
        # 2. The intent. Refused: keep what is pending and ask again after the next poll, which tells whose it is.
        place = TopicPartition(self._topic, chain.partition, plan.start, metadata=plan.metadata())
        if not self._member.commit([place]):
            return
        token = f"{self._log_id}:{chain.partition}:{plan.first}-{plan.next}"
        what = f"source range [{plan.first}, {plan.next}) of partition {chain.partition}"
        # 3. The events, one insert as a rule.
        for rows, part_token in by_months(event_rows(blocks, self._log_id), token):
            self._insert(EVENTS_TABLE, rows, part_token, what)
        # 4. The ledger rows: from here on the range is applied.
        now_us = self._clock.now_us()
        self._insert(LEDGER_TABLE, ledger_rows(blocks, self._log_id, now_us), token, what)
        chain.done()
        # 5. The offset behind it, for those who watch the group's lag; the next intent would tell the same.
        self._member.consumer.commit(
            offsets=[TopicPartition(self._topic, chain.partition, plan.end)], asynchronous=True
        )
        self._health.progress()

    def _insert(self, table: str, rows: pa.Table, token: str, what: str) -> None:
        began = self._clock.monotonic()
        self._member.patiently(what, lambda: self._database().insert(table, rows, token))
        self._metrics.insert_seconds.labels(table).observe(self._clock.monotonic() - began)
        self._metrics.inserts.labels(table, "ok").inc()
        self._metrics.rows.labels(table).inc(rows.num_rows)

    def _measure_lag(self, now: float) -> None:
        if now - self._measured_at < 1.0:
            return
        self._measured_at = now
        for chain in self._chains.values():
            place = TopicPartition(self._topic, chain.partition)
            _, high = self._member.consumer.get_watermark_offsets(place, cached=True)
            if high >= 0:
                self._metrics.lag.labels(self._topic, str(chain.partition)).set(max(0, high - (chain.resume or 0)))

    def _database(self) -> Database:
        if self._opened is None:
            self._opened = self._open_database()
        return self._opened

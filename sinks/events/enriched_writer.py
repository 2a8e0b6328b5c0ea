"""In: `usage.enriched`. Out: rows of `usage_events_raw` and `usage_ledger`, each source range once.

When a partition is assigned, its place is read from the ledger in ClickHouse, which rules; Kafka's committed offset is
a hint for people, and its metadata the intent of the owner before. Then, for each partition, about once a second:

1. collect the ranges that continue the chain: skip what is applied, read back what is missing;
2. *intent*: commit the offset of the first message with metadata that names [first, next), and wait for the answer. The
   broker refuses it from a member that lost the partition: a stalled process stops here;
3. insert the events under the token `LOG:PARTITION:FIRST-NEXT`. What ClickHouse refuses for its content is halved, each
   half under a token of its own (sinks.refusals.isolate), until the bad rows stand alone;
4. publish a rejection for each bad row, and wait for the broker's word;
5. insert the ledger rows under the token of 3, with the count of the bad rows;
6. commit the offset behind the last message.

A crash before 2 loses nothing: the ranges are read again. After 2, in the midst of 3, or after it, the next owner reads
the intent, collects exactly [first, next) and repeats 3: the same rows meet the same answers, so the same inserts are
made under the same tokens, and only what is missing is added. In the midst of 4 or after it, 3 finds the same bad rows,
and a rejection that is published again is the same one, because its position is. After 5 the ledger says that the range
is applied, and the next owner skips it. 6 decides nothing.
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
from schemas.positions import PositionError
from schemas.topics import Topics
from sinks.config import SinkConfig
from sinks.database import Database
from sinks.errors import ContentRefused, SinkError
from sinks.events.chain import Chain
from sinks.events.event_rows import event_rows
from sinks.events.intents import read_intent
from sinks.events.ledger import ChainEnd, chain_end, ledger_rows
from sinks.events.places import bounds_of, first_offset, refuse_further_partitions
from sinks.events.ranges import FOREIGN, RangeBlock
from sinks.group.lag import Lag
from sinks.group.membership import AssignmentChanged, Halted, Membership
from sinks.refusals.dead_letters import DeadLetters, rejection_of
from sinks.refusals.isolate import RefusedRow, insert_good_rows
from sinks.refusals.refusal_limit import RefusalLimit

_log = structlog.get_logger("sink")

EVENTS_TABLE: Final = "usage_events_raw"
LEDGER_TABLE: Final = "usage_ledger"
_KAFKA_TIMEOUT_S: Final = 10.0


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
        self._connection, self._topics, self._topic = connection, topics, topics.enriched
        self._log_id = log_identity(connection, topics.events)
        self._open_database = open_database
        self._opened: Database | None = None
        self._chains: dict[int, Chain] = {}
        #: Partitions that are read anew from elsewhere: what is left of the batch in hand is not theirs any more.
        self._moved: set[int] = set()
        self._loaded = 0
        self._lag = Lag(metrics, self._topic)
        self._limit = RefusalLimit(config.refuse_limit_rows, config.refuse_limit_share)
        self._dead_letters: DeadLetters | None = None
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
            self._flush_if_due(chain, now)
        if not messages and not any(chain.pending for chain in self._chains.values()):
            self._tell_hints()
            self._health.idle()
        reached = ((chain.partition, chain.resume or 0) for chain in self._chains.values())
        self._lag.measure(self._member.consumer, reached, now)

    def _load(self) -> None:
        """Find the place of every assigned partition and begin to read there."""
        generation, places = self._member.generation, self._member.assigned
        refuse_further_partitions(places, self._topics.event_partitions)
        starts, chains = [], {}
        committed = places and self._member.ask_kafka(
            "the group's intents", lambda: self._member.consumer.committed(places, timeout=_KAFKA_TIMEOUT_S)
        )
        for place in committed:
            partition = place.partition
            end = self._member.patiently(
                f"the question up to where usage_ledger has partition {partition}",
                partial(self._chain_end, partition),
            )
            chain = Chain(partition, end.applied if end else None, end.resume if end else None)
            intent = read_intent(place.metadata)
            if intent is not None and (chain.applied is None or intent.first == chain.applied):
                chain.intent = intent
            start = self._member.ask_kafka(
                f"where partition {partition} begins and ends", partial(self._first_offset, partition, end)
            )
            starts.append(TopicPartition(self._topic, partition, start))
            chain.met = start
            chains[partition] = chain
            _log.info(
                "sink.place", partition=partition, applied=chain.applied, offset=start, intent=chain.intent is not None
            )
        self._member.start_at(starts)
        self._chains, self._loaded = chains, generation
        self._lag.keep(chains)
        self._health.ready(True)

    def _chain_end(self, partition: int) -> ChainEnd | None:
        return chain_end(self._database(), self._log_id, partition, accept_gaps=self._config.accept_gaps)

    def _first_offset(self, partition: int, end: ChainEnd | None) -> int:
        place, config = TopicPartition(self._topic, partition), self._config
        bounds = bounds_of(self._member.consumer, place)
        return first_offset(self._connection, place, bounds, end, reread=config.reread, accept_gaps=config.accept_gaps)

    def _accept(self, message: Message) -> None:
        """Step 1 for one message."""
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        chain = self._chains.get(partition)
        if chain is None:
            return
        chain.met = offset + 1
        try:
            block = chain.assembler.feed(offset, message.headers(), message.value())
        except PositionError as error:
            raise SinkError(f"{self._topic} partition {partition}, offset {offset}: {error}. {FOREIGN}") from error
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
            self._flush_if_due(chain, self._clock.monotonic())

    def _seek_back(self, chain: Chain, block: RangeBlock) -> bool:
        """A range is missing before `block`: read it back. True: it is lost, and the settings say to go on behind
        it.
        """
        if chain.pending:
            self._flush(chain)
        if chain.pending:
            # The flush was refused for now: what is pending is read again, and the same hole is met after it.
            self._restart(chain, chain.pending[0].first_offset)
            return False
        low, high = self._member.ask_kafka(
            f"where partition {chain.partition} begins and ends",
            partial(bounds_of, self._member.consumer, TopicPartition(self._topic, chain.partition)),
        )
        start = chain.resume if chain.resume is not None and low <= chain.resume <= high else low
        if chain.sought is None or chain.sought[0] != chain.applied or chain.sought[1] > low:
            # First from behind what is applied. Not there: from the beginning, because offsets of a topic that was made
            # anew lead nowhere, while source ranges still tell what is missing.
            start = low if chain.sought is not None and chain.sought[0] == chain.applied else start
            chain.sought = (chain.applied, start)
            _log.warning(
                "sink.hole", partition=chain.partition, applied=chain.applied, met=block.source.first, offset=start
            )
            self._restart(chain, start)
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

    def _restart(self, chain: Chain, offset: int) -> None:
        """Read the partition again from `offset`; what is pending is forgotten."""
        chain.forget()
        self._member.seek(TopicPartition(self._topic, chain.partition, offset))
        self._moved.add(chain.partition)

    def _flush_if_due(self, chain: Chain, now: float) -> None:
        if chain.due(now, self._config.flush_rows, self._config.flush_s):
            self._flush(chain)

    def _flush(self, chain: Chain) -> None:
        """Steps 2 to 6 for what is pending in one partition."""
        plan = chain.planned()
        blocks = list(chain.pending)
        # 2. The intent. Refused: keep what is pending and ask again after the next poll, which tells whose it is.
        place = TopicPartition(self._topic, chain.partition, plan.start, metadata=plan.metadata())
        if not self._member.commit([place]):
            return
        token = f"{self._log_id}:{chain.partition}:{plan.first}-{plan.next}"
        what = f"source range [{plan.first}, {plan.next}) of partition {chain.partition}"
        # 3. The events, one insert as a rule.
        rows = event_rows(blocks, self._log_id)
        insert = partial(self._insert, EVENTS_TABLE, what)
        refused = insert_good_rows(rows, token, insert, self._config.refuse_limit_rows)
        # 4. What ClickHouse does not take.
        self._limit.count(rows.num_rows, len(refused), refused[-1].sentence if refused else "")
        if refused:
            self._set_aside(refused, what)
        # 5. The ledger rows: from here on the range is applied.
        self._insert(LEDGER_TABLE, what, ledger_rows(blocks, self._log_id, self._clock.now_us(), refused), token)
        chain.done()
        # 6. The offset behind it, for those who watch the group's lag; the next intent would tell the same.
        place = TopicPartition(self._topic, chain.partition, plan.end)
        self._member.consumer.commit(offsets=[place], asynchronous=True)
        self._health.progress()

    def _insert(self, table: str, what: str, rows: pa.Table, token: str) -> None:
        """ContentRefused for rows that ClickHouse does not take."""
        began = self._clock.monotonic()
        retried = self._metrics.inserts.labels(table, "retried").inc
        try:
            self._member.patiently(what, lambda: self._database().insert(table, rows, token), on_retry=retried)
        except ContentRefused:
            self._metrics.inserts.labels(table, "refused").inc()
            raise
        self._metrics.insert_seconds.labels(table).observe(self._clock.monotonic() - began)
        self._metrics.inserts.labels(table, "ok").inc()
        self._metrics.rows.labels(table).inc(rows.num_rows)

    def _set_aside(self, refused: list[RefusedRow], what: str) -> None:
        rejections = [rejection_of(one, self._topics.events) for one in refused]
        if self._dead_letters is None:
            self._dead_letters = DeadLetters(self._connection, self._topics.rejected)
        self._member.patiently(
            f"{len(refused)} rejections of {what}", partial(self._dead_letters.publish, rejections), "Kafka"
        )
        self._metrics.refused.inc(len(refused))
        for one in rejections:
            _log.error("sink.refused", partition=one.partition, offset=one.offset, index=one.index, reason=one.message)

    def _tell_hints(self) -> None:
        """Repeats, beginnings of ranges, and what an owner inserted that died before step 6, are behind us as well."""
        for chain in self._chains.values():
            hint = chain.hint
            if hint is not None and self._member.commit([TopicPartition(self._topic, chain.partition, hint)]):
                chain.told = hint

    def _database(self) -> Database:
        self._opened = self._opened or self._open_database()
        return self._opened

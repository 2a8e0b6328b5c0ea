"""In: `usage.outcomes`, `usage.rejected`, `usage.adjustments`, `governance.alerts`, `governance.status`. Out: rows of
their tables, at least once.

About once a second:

1. collect what has arrived;
2. decode and check outcomes; publish a rejection for each bad one, and wait for the broker's word;
3. insert, one insert per table; a row that ClickHouse refuses for its content is logged, counted and left out;
4. commit the offsets, and wait for the answer.

A crash before 4 repeats all of it: a rejection published twice has the same position, and every table keeps one row per
identity, so a repeat changes nothing. Nothing is committed before it is in ClickHouse.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
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
from schemas.decoding import SchemaSource
from schemas.rejections import Rejection
from schemas.topics import Topics
from sinks.config import SinkConfig
from sinks.database import Database
from sinks.errors import ContentRefused
from sinks.group.membership import AssignmentChanged, Halted, Membership
from sinks.records.outcome_limit import SCHEMA_CODES, OutcomeLimit
from sinks.records.outcomes import OutcomeReader
from sinks.records.record_rows import Record, Rows, adjustment_rows, alert_rows, rejected_rows, status_rows
from sinks.refusals.dead_letters import DeadLetters
from sinks.refusals.refusal_limit import RefusalLimit

_log = structlog.get_logger("sink")

#: Records held at most before an insert, whatever the time.
_MAX_RECORDS: Final = 20_000
#: And their bytes: a rejection or a part of an adjustment may have 900 kB.
_MAX_BYTES: Final = 64_000_000


class RecordsWriter:
    """Writes the five topics of records. One thread."""

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
        schemas: SchemaSource | None,
    ) -> None:
        self._config, self._topics, self._clock, self._halt = config, topics, clock, halt
        self._metrics, self._health = metrics, health
        self._logs = {topic: log_identity(connection, topic) for topic in (topics.events, topics.outcomes)}
        self._outcomes = OutcomeReader(topics.outcomes, schemas)
        self._dead_letters = DeadLetters(connection, topics.rejected)
        self._limit = OutcomeLimit(config.reject_limit_share, config.reject_limit_outcomes)
        self._refusals = RefusalLimit(config.refuse_limit_rows, config.refuse_limit_share)
        self._topic_of = {
            "usage_outcomes": topics.outcomes,
            "usage_rejected": topics.rejected,
            "usage_adjustments": topics.adjustments,
            "governance_alerts": topics.alerts,
            "governance_status": topics.status,
        }
        self._open_database = open_database
        self._opened: Database | None = None
        self._held: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._since: float | None = None
        self._generation = 0
        self._member = Membership(
            config,
            connection,
            f"{topics.prefix}{config.group}.records",
            [topics.outcomes, topics.rejected, topics.adjustments, topics.alerts, topics.status],
            clock,
            halt,
            health,
            assign=True,
        )

    def run(self) -> None:
        """Write until told to stop. Raises SinkError and KafkaException for what waiting does not mend.

        Neither an outage of ClickHouse nor one of Kafka or the schema registry ends it.
        """
        try:
            while not self._halt.is_set():
                try:
                    self._turn()
                except AssignmentChanged:
                    self._forget()
        except Halted:
            pass
        finally:
            self._member.close()
            if self._opened is not None:
                self._opened.close()

    def _turn(self) -> None:
        # 1. Collect.
        messages = self._member.consume()
        if self._member.generation != self._generation:
            # What is held was not committed: whoever has its partitions now reads it again.
            self._forget()
            self._generation = self._member.generation
            self._health.ready(True)
        for message in messages:
            self._hold(message)
        now = self._clock.monotonic()
        if messages and self._since is None:
            self._since = now
        if self._since is not None and (self._is_full() or now - self._since >= self._config.flush_s):
            self._flush()
        elif self._since is None and self._generation:
            self._health.idle()

    def _is_full(self) -> bool:
        held = [record for records in self._held.values() for record in records]
        return len(held) >= _MAX_RECORDS or sum(record.size for record in held) >= _MAX_BYTES

    def _hold(self, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        appended_us = message.timestamp()[1] * 1_000
        record = Record(offset, message.key(), message.value(), appended_us, message.headers())
        self._held[topic, partition].append(record)

    def _flush(self) -> None:
        now_us = self._clock.now_us()
        tables: dict[str, list[pa.Table]] = defaultdict(list)
        rejections: list[Rejection] = []
        # 2. Decode, check, and say what was refused.
        for (topic, partition), records in list(self._held.items()):
            if topic == self._topics.outcomes:
                # Nobody may be refused because the schema registry is away.
                outcomes = self._member.patiently(
                    f"the question for the schemas of {topic}",
                    partial(self._outcomes.read, partition, records),
                    "the schema registry",
                )
                tables["usage_outcomes"].append(outcomes.table)
                rejections += outcomes.rejections
            elif topic == self._topics.rejected:
                tables["usage_rejected"].append(self._read(topic, rejected_rows(records, self._log_of, now_us)))
            elif topic == self._topics.adjustments:
                tables["usage_adjustments"].append(self._read(topic, adjustment_rows(records, now_us)))
            elif topic == self._topics.alerts:
                tables["governance_alerts"].append(self._read(topic, alert_rows(records, now_us)))
            else:
                tables["governance_status"].append(self._read(topic, status_rows(records, now_us)))
        self._refuse(sum(one.num_rows for one in tables.get("usage_outcomes", ())), rejections)
        # 3. Insert.
        for table, parts in tables.items():
            rows = pa.concat_tables(parts)
            if rows.num_rows:
                self._insert(table, rows)
        # 4. Commit. Refused: the records are held, and the next turn tells whose they are.
        ends = [
            TopicPartition(topic, partition, records[-1].offset + 1)
            for (topic, partition), records in self._held.items()
        ]
        if self._member.commit(ends):
            self._forget()
            self._health.progress()

    def _read(self, topic: str, rows: Rows) -> pa.Table:
        for unreadable in rows.unreadable:
            self._metrics.unreadable.labels(topic).inc()
            _log.error("sink.unreadable", topic=topic, offset=unreadable.offset, reason=unreadable.reason)
        return rows.table

    def _refuse(self, accepted: int, rejections: Sequence[Rejection]) -> None:
        """Publish, however long Kafka is away: nothing is committed before it has them."""
        failed = [one for one in rejections if one.code in SCHEMA_CODES]
        if accepted or rejections:
            self._limit.count(accepted + len(rejections), len(failed), failed[-1].message if failed else "")
        if rejections:
            self._member.patiently(
                f"{len(rejections)} refused outcomes", lambda: self._dead_letters.publish(rejections), "Kafka"
            )

    def _insert(self, table: str, rows: pa.Table) -> None:
        """All rows that ClickHouse takes. One that it refuses for its content is told, and its neighbours pass."""
        try:
            self._put(table, rows)
            self._refusals.count(rows.num_rows, 0)
        except ContentRefused as refusal:
            if rows.num_rows == 1:
                self._refusals.count(1, 1, refusal.sentence)
                self._set_aside(table, rows, refusal)
                return
            middle = rows.num_rows // 2
            self._insert(table, rows.slice(0, middle))
            self._insert(table, rows.slice(middle))

    def _put(self, table: str, rows: pa.Table) -> None:
        began = self._clock.monotonic()
        self._member.patiently(
            f"{rows.num_rows} rows of {table}",
            lambda: self._database().insert(table, rows),
            on_retry=self._metrics.inserts.labels(table, "retried").inc,
        )
        self._metrics.insert_seconds.labels(table).observe(self._clock.monotonic() - began)
        self._metrics.inserts.labels(table, "ok").inc()
        self._metrics.rows.labels(table).inc(rows.num_rows)

    def _set_aside(self, table: str, row: pa.Table, refusal: ContentRefused) -> None:
        self._metrics.unreadable.labels(self._topic_of[table]).inc()
        values = {name: str(row[name][0]) for name in row.schema.names if row.schema.field(name).nullable is False}
        _log.error("sink.row_refused", table=table, row=values, code=refusal.code, reason=refusal.sentence)

    def _log_of(self, topic: str) -> str:
        return self._logs.get(topic, self._logs[self._topics.events])

    def _forget(self) -> None:
        self._held, self._since = defaultdict(list), None

    def _database(self) -> Database:
        if self._opened is None:
            self._opened = self._open_database()
        return self._opened

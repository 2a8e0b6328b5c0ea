"""In: ranges of events. Out: the topics and tables that hold them once enrich and the sink have passed, and what
reconcile says of them.

The rows are inserted by the sink's own functions, without its loop, so that a test is quick and decides what is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Consumer, Producer, TopicPartition

from runtime.admin import create_topics
from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from runtime.log_identity import log_identity
from schemas.positions import SourceRange
from schemas.status import BudgetStatus
from schemas.topics import Topics
from sinks.database import Database
from sinks.events.event_rows import event_rows
from sinks.events.ledger import ledger_rows
from sinks.events.ranges import Assembler, RangeBlock
from sinks.reconcile.findings import Finding
from sinks.reconcile.run import Judged, Reconciler
from tests.support.blocks import NOON_US, enriched_table, range_messages

MINUTE_US = 60_000_000


@dataclass
class Ground:
    """Topics on a broker and one database; `now_us` is a minute behind the newest event."""

    connection: KafkaConnection
    topics: Topics
    database: Database
    log: str = field(init=False)
    ends: Counter[int] = field(default_factory=Counter)
    statuses: list[BudgetStatus] = field(default_factory=list)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON_US + MINUTE_US))
    _producer: Producer = field(init=False)

    def __post_init__(self) -> None:
        create_topics(self.connection, self.topics)
        self.log = log_identity(self.connection, self.topics.events)
        self._producer = Producer(self.connection.librdkafka(linger_ms=0))

    def range(
        self, partition: int, first: int, after: int, table: pa.Table | None = None, parts: int = 1, **ledger: Any
    ) -> RangeBlock:
        """A range whose offsets hold one event each, on the topics and in the tables."""
        self.send_events(partition, after)
        rows = events(partition, first, after) if table is None else table
        times = pc.min_max(rows["occurred_at"].cast(pa.int64())).as_py()
        told = {"min_event_us": times["min"], "max_event_us": times["max"], **ledger}
        assembler, block = Assembler(), None
        for message in range_messages(rows, SourceRange(partition, first, after), parts, **told):
            offset = self._produce(self.topics.enriched, partition, message.value, message.headers)
            block = assembler.feed(offset, message.headers, message.value)
        assert block is not None
        self.database.insert("usage_events_raw", event_rows([block], self.log))
        self.database.insert("usage_ledger", ledger_rows([block], self.log, self.clock.now_us()))
        return block

    def send_events(self, partition: int, end: int) -> None:
        """Fill usage.events up to this offset; what stands there does not matter here."""
        while self.ends[partition] < end:
            self._producer.produce(self.topics.events, b"{}", partition=partition)
            self.ends[partition] += 1
        assert self._producer.flush(30) == 0

    def send(self, topic: str, value: bytes) -> None:
        self._produce(topic, 0, value, None)

    def commit_records(self, offset: int) -> None:
        """As the sink does once usage_rejected has what stands before this offset."""
        consumer = Consumer(self.connection.consumer(f"{self.topics.prefix}streamgauge.sink.records"))
        consumer.commit(offsets=[TopicPartition(self.topics.rejected, 0, offset)], asynchronous=False)
        consumer.close()

    def tamper(self, sql: str) -> None:
        """Change a table by hand, and wait until it is done."""
        self.database.command(f"{sql} SETTINGS mutations_sync = 2" if sql.startswith("ALTER") else sql)

    def copy_row(self, where: str, **changes: str) -> None:
        """Insert a copy of a row with some columns (SQL expressions) changed."""
        replaced = ", ".join(f"{value} AS {name}" for name, value in changes.items())
        columns = f"* REPLACE ({replaced})" if replaced else "*"
        chosen = f"SELECT * FROM usage_events_raw WHERE {where}"  # noqa: S608 - by this test
        into = "INSERT INTO usage_events_raw SETTINGS insert_deduplicate = 0"
        self.database.command(f"{into} SELECT {columns} FROM ({chosen})")  # noqa: S608 - by this test

    def insert(self, table: str, columns: str, *values: str | int) -> None:
        """One row by hand."""
        into = f"INSERT INTO {table} ({columns}) SETTINGS insert_deduplicate = 0"
        self.database.command(f"{into} VALUES {values}")

    def judge(self, since_us: int | None = None, **options: Any) -> Judged:
        """A run of reconcile with little patience."""
        reconciler = Reconciler(
            self.database,
            self.connection,
            self.topics,
            self.clock,
            lambda: self.statuses,
            f"{self.topics.prefix}streamgauge.sink.records",
            patience_s=0.0,
        )
        return reconciler.judge(since_us, **options)

    def findings(self, since_us: int | None = None) -> Sequence[Finding]:
        return self.judge(since_us).report.findings

    def _produce(self, topic: str, partition: int, value: bytes | None, headers: Any) -> int:
        offsets: list[int] = []

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            offsets.append(message.offset())

        self._producer.produce(topic, value, partition=partition, headers=headers, on_delivery=delivered)
        assert self._producer.flush(30) == 0
        return offsets[0]


def events(partition: int, first: int, after: int, **columns: Any) -> pa.Table:
    """Events with tokens and costs, one an offset, one a second."""
    offsets = np.arange(first, after)
    return enriched_table(
        after - first,
        partition=partition,
        first=first,
        **{
            "occurred_at": NOON_US + offsets * 1_000_000,
            "input_tokens": 100 + offsets,
            "output_tokens": 10 + offsets,
            "cost_nanousd": 1_000 * (1 + offsets),
            **columns,
        },
    )

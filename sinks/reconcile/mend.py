"""In: what a run found. Out: ClickHouse with the rows, ledger rows and records that were missing put back.

Everything is read back from Kafka as it was written, so what is put back is what stood there. In this order, for each
range:

1. the missing events, under their old keys and a new token (under the old one ClickHouse would take them for a repeat);
2. the ledger row, where it is missing or differs;
3. records of refused events, under their old keys.

A crash after any of them leaves what was put back in place, and the next run finds the rest. A row put back twice has
the key of the first and counts once. Nothing that stands is deleted or overwritten here, but ledger rows that differ
from what enrich wrote.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient
from schemas.topics import Topics
from sinks.database import Database
from sinks.events.event_rows import by_months
from sinks.events.ledger import ledger_rows
from sinks.events.ranges import RangeBlock
from sinks.reconcile.asking import ask_columns
from sinks.reconcile.chain import Hole
from sinks.reconcile.examine import Examined
from sinks.reconcile.findings import Finding
from sinks.reconcile.keyed import readable, standing
from sinks.reconcile.readback import ReadBack
from sinks.reconcile.run import Judged
from sinks.records.record_rows import Record, rejected_rows


@dataclass(frozen=True, slots=True)
class Mended:
    """How much was put back."""

    events: int = 0
    ranges: int = 0
    rejections: int = 0


class Mender:
    """Writes with the sink's rights. Not thread-safe."""

    def __init__(self, database: Database, connection: KafkaConnection, topics: Topics, clock: Clock) -> None:
        self._database, self._connection, self._topics, self._clock = database, connection, topics, clock

    def mend(self, judged: Judged) -> Mended:
        """Put back what can be. What cannot stays in the next report."""
        events = ranges = 0
        for one in judged.examined:
            events += self._insert(one.missing, judged.log)
            ranges += self._rewrite(one, judged.log)
        with ReadBack(self._connection, self._topics.enriched) as read_back:
            for unequal in judged.unequal:
                block = read_back.block(unequal.place)
                ranges += 0 if block is None else self._ledger(block, judged.log)
            for hole in judged.holes:
                for block in _fill(read_back, hole):
                    # 1. before 2.: a range in the ledger is a range in ClickHouse.
                    events += self._insert(self._absent(block, judged.log), judged.log)
                    ranges += self._ledger(block, judged.log)
        wanted = [one for one in judged.report.findings if one.kind == "rejection_missing" and one.log == judged.log]
        return Mended(events, ranges, self._rejections(wanted, judged.log) if wanted else 0)

    def _insert(self, rows: pa.Table, log: str) -> int:
        if rows.num_rows:
            named = rows.append_column("log", pa.array([log] * rows.num_rows))
            for some, token in by_months(named, f"reconcile:{uuid.uuid4().hex}"):
                self._database.insert("usage_events_raw", some, token)
        return int(rows.num_rows)

    def _rewrite(self, one: Examined, log: str) -> int:
        """A ledger row that says other than enrich did; where ClickHouse refused rows nobody but the sink can write
        it.
        """
        if not one.ledger_differs or one.block is None or one.gap.refused:
            return 0
        return self._ledger(one.block, log)

    def _ledger(self, block: RangeBlock, log: str) -> int:
        rows = ledger_rows([block], log, self._clock.now_us())
        self._database.insert("usage_ledger", rows, f"reconcile:{uuid.uuid4().hex}")
        return 1

    def _absent(self, block: RangeBlock, log: str) -> pa.Table:
        """The events of a range that do not stand."""
        whole = block.table()
        events = standing(whole)
        if not events:
            return whole
        source = block.source
        found = ask_columns(
            self._database,
            "events_at",
            hours=sorted({one.key.hour for one in events}),
            log=log,
            partition=source.partition,
            first=source.first,
            next=source.next,
        )
        there = standing(readable(found))
        return whole.take(pa.array([row for one, row in events.items() if one not in there], pa.int64()))

    def _rejections(self, wanted: Sequence[Finding], log: str) -> int:
        """Records of the ranges that lack some, from usage.rejected; those that stand are replaced by themselves."""
        spans = [(one.partition, one.first or 0, one.next or 0) for one in wanted]
        records = list(_records(self._connection, self._topics.rejected))

        def log_of(topic: str) -> str:
            return log if topic == self._topics.events else ""

        table = rejected_rows(records, log_of, self._clock.now_us()).table
        places = zip(table["log"].to_pylist(), table["partition"].to_pylist(), table["offset"].to_pylist(), strict=True)
        chosen = [
            row
            for row, (of, partition, offset) in enumerate(places)
            if of == log and any(p == partition and first <= offset < after for p, first, after in spans)
        ]
        if chosen:
            rows = table.take(pa.array(chosen, pa.int64()))
            self._database.insert("usage_rejected", rows, f"reconcile:{uuid.uuid4().hex}")
        return len(chosen)


def _fill(read_back: ReadBack, hole: Hole) -> Iterator[RangeBlock]:
    """The ranges of a hole in order, as far as usage.enriched still has them."""
    reached = hole.first
    for block in read_back.blocks(hole.partition, hole.start):
        source = block.source
        if source.first >= hole.next:
            return
        if source.first >= reached and source.next <= hole.next:
            yield block
            reached = source.next
        if reached >= hole.next:
            return


def _records(connection: KafkaConnection, topic: str) -> Iterator[Record]:
    """All that a topic of one partition holds."""
    consumer = Consumer(
        connection.consumer(
            f"{connection.client_id}.reader.unused", enable_partition_eof=True, auto_offset_reset="earliest"
        )
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        while True:
            for message in consumer.consume(1_000, 0.2):
                error = message.error()
                if error is None:
                    yield Record(message.offset() or 0, message.key(), message.value(), message.timestamp()[1] * 1_000)
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif not is_transient(error):
                    raise KafkaException(error)
    finally:
        consumer.close()

"""Plain events in; message values, source batches, rules and topics for enrich, and what a reader takes from its
outputs, out.
"""

from __future__ import annotations

import io
import json
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import fastavro
import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from prometheus_client import CollectorRegistry

from runtime.admin import create_topics
from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import EnrichMetrics
from schemas.arrow_ipc import from_ipc
from schemas.avro_schemas import avro_schema
from schemas.control.records import ControlRecord, dump_record, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.decoding import SchemaSource
from schemas.enriched import ENRICHED
from schemas.framing import batch_datum, frame_single_object
from schemas.positions import LedgerRow, Mark, SourceRange, read_ledger, read_mark, read_range, read_version
from schemas.prices.card import Provisional
from schemas.rejections import Rejection
from schemas.tallies import TALLIES
from schemas.topics import Topics
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.config import EnrichConfig
from streams.enrich.dedupe import Window
from streams.enrich.rules import Rules, RulesCompiler
from streams.enrich.run import Enricher

#: Monday 2026-03-02 12:00 UTC in µs.
NOON_US: Final = 1_772_452_800_000_000
KEY: Final = b"a key for tests, of no value elsewhere"
CONFIG: Final = EnrichConfig(KEY, tag_keys=("env",))
_EVENT: Final = avro_schema("usage_event")
_BATCH: Final = avro_schema("usage_event_batch")
_DEFAULTS: Final = {one["name"]: one.get("default") for one in json.loads(_EVENT.text)["fields"]}

Event = dict[str, Any]


def event(number: int = 0, **fields: Any) -> Event:
    """A valid event, unlike all others in id, tokens and time."""
    base = {
        "event_id": f"e{number}",
        "source": "gateway",
        "occurred_at": NOON_US + number * 1_000,
        "model": "gpt-5",
        "provider": "openai",
        "input_tokens": 100 + number,
        "output_tokens": 7,
    }
    return base | fields


def datum(one: Event) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _EVENT.parsed, _DEFAULTS | one)
    return out.getvalue()


def avro_value(one: Event) -> bytes:
    """One event as Avro single-object."""
    return frame_single_object(_EVENT.crc64, datum(one))


def avro_batch(events: Sequence[Event]) -> bytes:
    """Many events in one message."""
    return frame_single_object(_BATCH.crc64, batch_datum([datum(one) for one in events]))


def json_value(one: Event) -> bytes:
    return json.dumps(one, ensure_ascii=False).encode("utf-8", "surrogatepass")


def source_batch(
    values: Sequence[bytes | None],
    *,
    partition: int = 0,
    first: int = 0,
    append_us: int | Sequence[int] = NOON_US + 1_000_000,
) -> SourceBatch:
    """The values as messages at successive offsets of one partition."""
    count = len(values)
    times = np.full(count, append_us, np.int64) if isinstance(append_us, int) else np.asarray(append_us, np.int64)
    return SourceBatch(
        list(values),
        np.full(count, partition, np.int32),
        np.arange(first, first + count, dtype=np.int64),
        times,
        (SourceRange(partition, first, first + count),),
    )


def fresh_states(
    *partitions: int, horizon_us: int = 86_400_000_000, max_ids: int = 1_000_000
) -> dict[int, PartitionState]:
    return {partition: PartitionState(0, Window(horizon_us, max_ids)) for partition in partitions or (0,)}


def snapshot_of(*records: ControlRecord, position: int = 1) -> ControlSnapshot:
    return ControlSnapshot(position, {record_key(record): record for record in records})


def rules_of(*records: ControlRecord, position: int = 1) -> Rules:
    return RulesCompiler(Provisional()).compile(snapshot_of(*records, position=position))


def make_topics(connection: KafkaConnection, prefix: str, events: int = 4, tallies: int = 4) -> Topics:
    topics = Topics(f"{prefix}.", event_partitions=events, tally_partitions=tallies)
    create_topics(connection, topics, 1)
    return topics


def home_of(event_id: str, partitions: int) -> int:
    """The input partition that producers choose for an event."""
    return zlib.crc32(event_id.encode()) % partitions


def send(connection: KafkaConnection, topic: str, values: Iterable[tuple[int, bytes | None, bytes | None]]) -> None:
    """Produce (partition, key, value) and await all."""
    failed: list[KafkaError] = []
    producer = Producer(connection.librdkafka())
    for partition, key, value in values:
        producer.produce(
            topic,
            key=key,
            value=value,
            partition=partition,
            on_delivery=lambda error, _message: failed.append(error) if error else None,
        )
    assert producer.flush(30) == 0
    assert not failed, failed[0]


def send_events(connection: KafkaConnection, topics: Topics, events: Iterable[Event]) -> None:
    send(
        connection,
        topics.events,
        (
            (home_of(one["event_id"], topics.event_partitions), str(one["event_id"]).encode(), avro_value(one))
            for one in events
        ),
    )


def send_records(connection: KafkaConnection, topics: Topics, *records: ControlRecord) -> None:
    send(connection, topics.control, ((0, record_key(one).encode(), dump_record(one)) for one in records))


def read_topic(connection: KafkaConnection, topic: str, partitions: int) -> dict[int, list[Message]]:
    """All messages by partition, read to the end that each has when it is reached."""
    consumer = Consumer(
        connection.consumer("unused", enable_partition_eof=True, auto_offset_reset="earliest", fetch_wait_max_ms=20)
    )
    found: dict[int, list[Message]] = {partition: [] for partition in range(partitions)}
    left = set(found)
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in found])
        while left:
            for message in consumer.consume(10_000, 0.05):
                error = message.error()
                partition = message.partition()
                assert partition is not None
                if error is None:
                    found[partition].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(partition)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
    return found


class Hole(AssertionError):
    """A range begins behind what was applied: something between the two is missing."""


@dataclass
class Chain:
    """What one reader of one partition took, by the rule of every reader of enrich (see `read_chain`)."""

    applied: dict[int, int] = field(default_factory=dict)
    taken: list[tuple[SourceRange, list[Message]]] = field(default_factory=list)
    skipped: int = 0
    idle: list[tuple[SourceRange, Mark]] = field(default_factory=list)


def read_chain(messages: Iterable[Message]) -> Chain:
    """The readers' rule: first < applied skip, first == applied apply, first > applied is a Hole.

    A range that fills several messages is applied when its last part is there; a copy that starts again from part 0
    replaces the parts of an unfinished one. The first range of a partition says where its chain begins.
    """
    chain = Chain()
    parts: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        headers = message.headers()
        read_version(headers)
        found = read_range(headers)
        if found.first == found.next:
            chain.idle.append((found, read_mark(headers)))
            continue
        applied = chain.applied.setdefault(found.partition, found.first)
        if found.first < applied:
            chain.skipped += 1
            continue
        if found.first > applied:
            raise Hole(f"partition {found.partition}: applied {applied}, the next range is {found}")
        if found.part == 0:
            parts[found.partition] = []
        if found.part != len(parts[found.partition]):
            continue
        parts[found.partition].append(message)
        if len(parts[found.partition]) == found.parts:
            chain.taken.append((found, parts.pop(found.partition)))
            chain.applied[found.partition] = found.next
    return chain


@dataclass
class Seen:
    """All that the readers of one installation took, each range once."""

    rows: list[dict[str, Any]]
    ledger: list[LedgerRow]
    tallies: list[dict[str, Any]]
    rejections: dict[str, Rejection]
    idle: list[tuple[SourceRange, Mark]]
    skipped: int
    #: (tally partition, input partition) -> offset applied.
    applied: Mapping[tuple[int, int], int]


def read_outputs(connection: KafkaConnection, topics: Topics) -> Seen:
    """Read every output of enrich by the readers' rule."""
    rows: list[dict[str, Any]] = []
    ledger: list[LedgerRow] = []
    tallies: list[dict[str, Any]] = []
    idle: list[tuple[SourceRange, Mark]] = []
    applied: dict[tuple[int, int], int] = {}
    skipped = 0
    for messages in read_topic(connection, topics.enriched, topics.event_partitions).values():
        chain = read_chain(messages)
        skipped += chain.skipped
        for _, parts in chain.taken:
            ledger.append(read_ledger(parts[0].headers()))
            for part in parts:
                rows.extend(from_ipc(part.value(), ENRICHED).to_pylist())
    for home, messages in read_topic(connection, topics.tallies, topics.tally_partitions).items():
        chain = read_chain(messages)
        skipped += chain.skipped
        idle.extend(chain.idle)
        applied |= {(home, partition): offset for partition, offset in chain.applied.items()}
        for source_range, parts in chain.taken:
            for part in parts:
                found = from_ipc(part.value(), TALLIES).to_pylist()
                tallies.extend(row | {"home": home, "src_partition": source_range.partition} for row in found)
    rejections = {}
    for message in read_topic(connection, topics.rejected, 1)[0]:
        key, value = message.key(), message.value()
        assert key is not None
        assert value is not None
        rejections[key.decode()] = Rejection.model_validate_json(value)
    return Seen(rows, ledger, tallies, rejections, idle, skipped, applied)


def table_rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


class ShortSession(KafkaConnection):
    """A member that died is noticed after a second and a half."""

    __slots__ = ()

    def consumer(self, group: str, **more: Any) -> dict[str, Any]:
        return super().consumer(group, heartbeat_interval_ms=300, **more)


def short_session(bootstrap: str) -> ShortSession:
    return ShortSession(bootstrap, session_timeout_ms=1_500, fetch_wait_ms=50)


def new_enricher(
    connection: KafkaConnection,
    topics: Topics,
    *,
    batch_messages: int = 100,
    config: EnrichConfig = CONFIG,
    health: Health | None = None,
    schemas: SchemaSource | None = None,
    halt: threading.Event | None = None,
) -> Enricher:
    """A worker as `run_enrich` makes it; its metrics go nowhere."""
    config = replace(config, group=f"{topics.prefix}enrich", batch_messages=batch_messages, poll_ms=50)
    metrics = EnrichMetrics(CollectorRegistry())
    return Enricher(config, connection, topics, SystemClock(), metrics, health or Health(), schemas, halt)


def run_until(done: Callable[[], bool], *workers: Enricher, seconds: float = 60.0) -> None:
    """Turn the workers' loops in one thread until `done`; AssertionError when that takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not done after {seconds} s"
        for worker in workers:
            worker.step()


def committed_offsets(connection: KafkaConnection, topics: Topics) -> dict[int, tuple[int, str | None]]:
    """What the group has committed: (offset, metadata) by partition."""
    consumer = Consumer(connection.consumer(f"{topics.prefix}enrich"))
    try:
        asked = [TopicPartition(topics.events, partition) for partition in range(topics.event_partitions)]
        return {one.partition: (one.offset, one.metadata) for one in consumer.committed(asked, timeout=30)}
    finally:
        consumer.close()


def enrich_all(connection: KafkaConnection, topics: Topics, **options: Any) -> None:
    """One fresh worker takes everything there is, hands over and leaves."""
    ends = {p: len(found) for p, found in read_topic(connection, topics.events, topics.event_partitions).items()}
    worker = new_enricher(connection, topics, **options)

    def reached() -> bool:
        states = worker._source.states
        return len(states) == len(ends) and all(states[p].position >= end for p, end in ends.items())

    try:
        run_until(reached, worker)
    finally:
        worker.close()

"""In: rows of usage or outcome events as Arrow columns. Out: framed Kafka messages, each bound for an explicit
partition.

An event's partition is CRC-32 of its id modulo the partition count, which is also librdkafka's default for keyed
messages: a resend meets its first delivery whoever sends it. So a batch message holds events of one partition only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyruhvro

from schemas.avro_schemas import avro_schema
from schemas.framing import batch_datum, frame_single_object

EventKind = Literal["usage_event", "outcome_event"]

_ID_COLUMN: Final[dict[EventKind, str]] = {"usage_event": "event_id", "outcome_event": "outcome_id"}

#: Bytes of one message's value; the broker's limit is 1 MB with its overhead.
MAX_VALUE_BYTES: Final = 900_000


class Message(NamedTuple):
    """One message to produce; `events` is how many events it carries."""

    partition: int
    key: bytes | None
    value: bytes | None
    events: int


def partition_of(event_id: str | bytes, partitions: int) -> int:
    """The partition of an event id (UTF-8)."""
    return zlib.crc32(event_id.encode() if isinstance(event_id, str) else event_id) % partitions


def partitions_of(ids: list[str], partitions: int) -> npt.NDArray[np.int64]:
    """The partition of each event id."""
    crc = zlib.crc32
    return np.fromiter((crc(one.encode()) for one in ids), np.int64, len(ids)) % partitions


def encode_rows(table: pa.Table, event: EventKind) -> list[bytes]:
    """Each row as one Avro datum of the current schema. `table` has USAGE_COLUMNS or OUTCOME_COLUMNS."""
    schema = avro_schema(event)
    return [
        datum
        for batch in table.combine_chunks().to_batches()
        for array in pyruhvro.serialize_record_batch(batch, schema.text, 1)
        for datum in array.to_pylist()
    ]


def frame_rows(table: pa.Table, partitions: int, batch: int = 1, event: EventKind = "usage_event") -> Iterator[Message]:
    """All rows as messages; see `frame_datums`."""
    ids: list[str] = table.column(_ID_COLUMN[event]).to_pylist()
    return frame_datums(ids, encode_rows(table, event), partitions, batch, event)


def frame_datums(
    ids: list[str], datums: list[bytes], partitions: int, batch: int = 1, event: EventKind = "usage_event"
) -> Iterator[Message]:
    """Messages of up to `batch` events; the events of one partition keep their order. Outcomes go one per message.

    One event per message: in the order given. Else partition by partition.
    """
    where = partitions_of(ids, partitions)
    if batch <= 1 or event == "outcome_event":
        crc64 = avro_schema(event).crc64
        for one, datum, partition in zip(ids, datums, where.tolist(), strict=True):
            yield Message(partition, one.encode(), frame_single_object(crc64, datum), 1)
        return
    for partition in range(partitions):
        rows = np.flatnonzero(where == partition).tolist()
        yield from _batches(partition, [ids[row] for row in rows], [datums[row] for row in rows], batch)


def _batches(partition: int, ids: list[str], datums: list[bytes], batch: int) -> Iterator[Message]:
    crc64 = avro_schema("usage_event_batch").crc64
    start, size = 0, 0
    for place, datum in enumerate(datums):
        if place > start and (place - start == batch or size + len(datum) > MAX_VALUE_BYTES):
            yield _batch_message(partition, ids, datums, start, place, crc64)
            start, size = place, 0
        size += len(datum)
    if datums:
        yield _batch_message(partition, ids, datums, start, len(datums), crc64)


def _batch_message(partition: int, ids: list[str], datums: list[bytes], start: int, end: int, crc64: bytes) -> Message:
    value = frame_single_object(crc64, batch_datum(datums[start:end]))
    return Message(partition, ids[start].encode(), value, end - start)

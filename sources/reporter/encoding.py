"""In: event values as field mappings. Out: Avro datums of the current schema, with the id of each.

By fastavro and not by columns: a service may fork after its first report, and the native encoder's threads do not
survive that; nor should reporting one event make a service load a data-frame library.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fastavro

from schemas.avro_schemas import avro_schema
from schemas.control.base import moment_us
from sources.messages import EventKind


@dataclass(frozen=True, slots=True)
class EncodedEvents:
    """`datums[i]` is the event with id `ids[i]`."""

    ids: list[str]
    datums: list[bytes]


def encode_events(
    event: EventKind, ids: list[str], rows: list[dict[str, Any]], source: str, times_us: Sequence[int]
) -> EncodedEvents:
    """`rows` hold every field of the schema; an absent source or time is filled in (the rows are changed)."""
    parsed = avro_schema(event).parsed
    datums = []
    for row, stamp_us in zip(rows, times_us, strict=True):
        row["source"] = row["source"] or source
        row["occurred_at"] = stamp_us if row["occurred_at"] is None else moment_us(row["occurred_at"])
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed, row)
        datums.append(buffer.getvalue())
    return EncodedEvents(ids, datums)

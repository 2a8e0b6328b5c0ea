"""In: a database and filters. Out: refused events as ClickHouse has them, and a note of each that was sent again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from schemas.usage import TIMESTAMP
from sinks.database import Database, read_sql, split_statements

#: `to_topic` of a row that was inserted into ClickHouse itself.
EVENTS_TABLE: Final = "usage_events_raw"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REPLAYS: Final = pa.schema(
    [
        *(pa.field(name, pa.utf8(), nullable=False) for name in ("log", "topic")),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("code", pa.utf8(), nullable=False),
        pa.field("replayed_at", TIMESTAMP, nullable=False),
        *(pa.field(name, pa.utf8(), nullable=False) for name in ("replayed_by", "to_topic")),
        pa.field("to_partition", pa.int32(), nullable=False),
        pa.field("to_offset", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a refused event stands; `index` None: every event of the message."""

    topic: str
    partition: int
    offset: int
    index: int | None = None

    def __str__(self) -> str:
        end = "" if self.index is None else f":{self.index}"
        return f"{self.topic}:{self.partition}:{self.offset}{end}"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which refused events; None and an empty text: any. `with_replayed`: also those that were sent again."""

    since: datetime = _EPOCH
    code: str = ""
    source: str = ""
    topic: str = ""
    with_replayed: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """When a refused event was sent again, by whom and where to."""

    at: datetime
    by: str
    to: Place


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused event. `raw` is None where it was not asked for."""

    log: str
    place: Place
    code: str
    message: str
    appended_at: datetime
    source: str | None
    event_id: str | None
    raw: bytes | None
    raw_bytes: int
    raw_truncated: bool
    replayed: Replayed | None


@dataclass(frozen=True, slots=True)
class Group:
    """Refused events of one code and source."""

    code: str
    source: str | None
    events: int
    replayed: int
    first_at: datetime
    last_at: datetime


def summary(database: Database, filters: Filters) -> list[Group]:
    """By code and source, the most first."""
    rows = database.query(_sql("rejected_summary.sql"), _parameters(filters))
    return [
        Group(code, source, events, replayed, _aware(first_at), _aware(last_at))
        for code, source, events, replayed, first_at, last_at in rows
    ]


def find(database: Database, filters: Filters, limit: int, *, raw: bool = False) -> list[Refused]:
    """The newest `limit`."""
    return _rows(database, _parameters(filters) | _exactly(None) | {"limit": limit, "raw": raw})


def at(database: Database, place: Place) -> list[Refused]:
    """What was refused at one place, with its bytes: one event, or those of a message."""
    filters = Filters(topic=place.topic, with_replayed=True)
    return _rows(database, _parameters(filters) | _exactly(place) | {"limit": 100_000, "raw": True})


def note(database: Database, refused: Refused, replayed: Replayed) -> None:
    """Remember that it was sent again."""
    assert refused.place.index is not None
    values = (
        refused.log,
        refused.place.topic,
        refused.place.partition,
        refused.place.offset,
        refused.place.index,
        refused.code,
        replayed.at,
        replayed.by,
        replayed.to.topic,
        replayed.to.partition,
        replayed.to.offset,
    )
    columns = [pa.array([value], field.type) for value, field in zip(values, _REPLAYS, strict=True)]
    database.insert("rejected_replays", pa.Table.from_arrays(columns, schema=_REPLAYS))


def _rows(database: Database, parameters: dict[str, Any]) -> list[Refused]:
    return [_refused(row, raw=parameters["raw"]) for row in database.query(_sql("rejected_rows.sql"), parameters)]


def _refused(row: Sequence[Any], *, raw: bool) -> Refused:
    log, topic, partition, offset, index, code, message, appended_at, source, event_id = row[:10]
    text, size, truncated, replayed_at, replayed_by, to_topic, to_partition, to_offset = row[10:]
    replayed = None
    if _aware(replayed_at) > _EPOCH:
        replayed = Replayed(_aware(replayed_at), replayed_by, Place(to_topic, to_partition, to_offset))
    return Refused(
        log,
        Place(topic, partition, offset, index),
        code,
        message,
        _aware(appended_at),
        source,
        event_id,
        base64.b64decode(text) if raw else None,
        size,
        bool(truncated),
        replayed,
    )


def _parameters(filters: Filters) -> dict[str, Any]:
    return {
        "since": filters.since,
        "code": filters.code,
        "source": filters.source,
        "topic": filters.topic,
        "all": filters.with_replayed,
    }


def _exactly(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"exact": False, "partition": 0, "offset": 0, "index": 0}
    index = -1 if place.index is None else place.index
    return {"exact": True, "partition": place.partition, "offset": place.offset, "index": index}


def _aware(moment: datetime) -> datetime:
    """ClickHouse's client gives UTC columns without a zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _sql(name: str) -> str:
    (statement,) = split_statements(read_sql("corrections", name))
    return statement

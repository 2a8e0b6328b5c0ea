"""In: a database and what is asked for. Out: events that a new price may concern, and whether an adjustment is written.

Events are read in stretches of whole hours, the first part of the sorting key, so that a stretch costs what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from sinks.database import Database, read_sql, split_statements

#: Events of one stretch, and so of one adjustment: some 40 MB of columns, a few Kafka messages.
STRETCH_EVENTS: Final = 200_000

_WRITTEN: Final = "adjustments_written.sql"
_HOURS: Final = "adjustments_hours.sql"
_EVENTS: Final = "adjustments_events.sql"
_PEOPLE: Final = "adjustments_people.sql"
_POSITION: Final = ["log", "src_partition", "src_offset", "src_index"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Events of [since, until). `model`: a name, or the beginning of one and `*`; None: all. `again`: those that have a
    price too.
    """

    since: datetime
    until: datetime
    model: str | None = None
    again: bool = False

    def parameters(self, since: datetime, until: datetime) -> dict[str, Any]:
        model = (self.model or "").lower()
        return {
            "since": since,
            "until": until,
            "model": model.removesuffix("*"),
            "prefix": model.endswith("*"),
            "again": self.again,
        }


def stretches(database: Database, wanted: Wanted, limit: int = STRETCH_EVENTS) -> list[tuple[datetime, datetime]]:
    """[since, until) of stretches in which there is something, with at most `limit` events unless one hour has more."""
    found: list[tuple[datetime, datetime]] = []
    held = 0
    for hour, events in database.query(_sql(_HOURS), wanted.parameters(wanted.since, wanted.until)):
        first = _aware(hour)
        last = first + timedelta(hours=1)
        if found and held + events <= limit:
            found[-1], held = (found[-1][0], last), held + events
        else:
            found.append((first, last))
            held = events
    return [(max(first, wanted.since), min(last, wanted.until)) for first, last in found]


def events_to_price(database: Database, wanted: Wanted, since: datetime, until: datetime, *, people: bool) -> pa.Table:
    """The events of one stretch, with `counted_cost`, `counted_provisional`, `counted_unpriced` and `has_price`.

    `people`: with `user_hash`, which the sink's user may read and analysts may not; else it is null.
    """
    events = pa.table(database.client.query_arrow(_sql(_EVENTS), wanted.parameters(since, until), use_strings=True))
    if people:
        return with_people(database, events, since, until)
    return events.append_column("user_hash", pa.nulls(events.num_rows, pa.utf8()))


def with_people(database: Database, events: pa.Table, since: datetime, until: datetime) -> pa.Table:
    """`events` of [since, until), which have `log` and the other columns of a source position, with `user_hash`."""
    known = pa.table(database.client.query_arrow(_sql(_PEOPLE), {"since": since, "until": until}, use_strings=True))
    numbered = events.select(_POSITION).append_column("row", pa.array(range(events.num_rows), pa.int64()))
    found = numbered.join(known, _POSITION, join_type="left outer", use_threads=False).sort_by("row")
    return events.append_column("user_hash", found["user_hash"].combine_chunks())


def is_written(database: Database, adjustment_id: str, position: int) -> bool:
    """Whether the sink has written the event message of this adjustment at this offset."""
    parameters = {"adjustment_id": adjustment_id, "position": position}
    return bool(database.query(_sql(_WRITTEN), parameters)[0][0])


def _aware(moment: datetime) -> datetime:
    """ClickHouse's client gives UTC columns without a zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _sql(name: str) -> str:
    (statement,) = split_statements(read_sql("corrections", name))
    return statement

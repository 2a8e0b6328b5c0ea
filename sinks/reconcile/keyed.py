"""In: tables of event rows. Out: their rows by what tells them apart (source position, and the key that ClickHouse
keeps one of), and which of equal ones differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.enriched import ENRICHED

#: All that enrich writes but the hash of the user, which analysts may not read.
READABLE: Final = pa.schema([field for field in ENRICHED if field.name != "user_hash"])
_HOUR_US: Final = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Key:
    """What ClickHouse keeps one row of: the hour of the event (Unix seconds), its model, source and id."""

    hour: int
    model: str
    source: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A row: its event, at this offset and place in the message."""

    offset: int
    index: int
    key: Key


def readable(table: pa.Table) -> pa.Table:
    """The columns of READABLE in their own types."""
    return table.select(READABLE.names).cast(READABLE)


def standing(table: pa.Table) -> dict[Standing, int]:
    """Row number by place; of equal places the last."""
    columns = (
        table["src_offset"].to_pylist(),
        table["src_index"].to_pylist(),
        table["occurred_at"].cast(pa.int64()).to_pylist(),
        table["model"].to_pylist(),
        table["source"].to_pylist(),
        table["event_id"].to_pylist(),
    )
    return {
        Standing(offset, index, Key(us // _HOUR_US * 3_600, model, source, event_id)): row
        for row, (offset, index, us, model, source, event_id) in enumerate(zip(*columns, strict=True))
    }


def differing(one: pa.Table, other: pa.Table) -> list[int]:
    """Numbers of the rows in which two READABLE tables of equal length differ."""
    wrong: set[int] = set()
    for field in READABLE:
        mine, theirs = one[field.name], other[field.name]
        if pa.types.is_map(field.type):
            pairs = zip(mine.to_pylist(), theirs.to_pylist(), strict=True)
            wrong.update(row for row, (a, b) in enumerate(pairs) if dict(a or ()) != dict(b or ()))
            continue
        if mine.equals(theirs):
            continue
        same = pc.or_(pc.fill_null(pc.equal(mine, theirs), False), pc.and_(pc.is_null(mine), pc.is_null(theirs)))
        wrong.update(row for row, equal in enumerate(same.to_pylist()) if not equal)
    return sorted(wrong)

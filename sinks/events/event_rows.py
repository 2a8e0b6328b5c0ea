"""In: the blocks of a coalesced range. Out: rows as `usage_events_raw` takes them, cut so that no insert touches too
many months.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sinks.events.ranges import RangeBlock

#: ClickHouse refuses a block over more than 100 table partitions (max_partitions_per_insert_block); some room is left.
MAX_MONTHS: Final = 90


def event_rows(blocks: Sequence[RangeBlock], log: str) -> pa.Table:
    """All accepted events of the blocks, in source order, with the identity of their log."""
    table = pa.concat_tables([block.table() for block in blocks])
    return table.append_column("log", _constant(log, table.num_rows))


def by_months(rows: pa.Table, token: str, max_months: int = MAX_MONTHS) -> Iterator[tuple[pa.Table, str]]:
    """(rows, token) of each insert: one for all rows as a rule; equal rows give equal inserts under equal tokens."""
    if rows.num_rows == 0:
        return
    month, months = _month(rows), months_of(rows)
    if len(months) <= max_months:
        yield rows, token
        return
    for number, low in enumerate(range(0, len(months), max_months)):
        chosen = pc.is_in(month, value_set=months.slice(low, max_months))
        yield rows.filter(chosen), f"{token}:{number}"


def months_of(rows: pa.Table) -> pa.Array:
    """The months of the rows' event times, in order: one table partition each."""
    return pc.unique(_month(rows)).sort()


def _month(rows: pa.Table) -> pa.ChunkedArray:
    when = rows["occurred_at"]
    return pc.add(pc.multiply(pc.year(when), 12), pc.month(when))


def _constant(text: str, rows: int) -> pa.DictionaryArray:
    """One string for all rows, stored once."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int8()), rows), pa.array([text]))

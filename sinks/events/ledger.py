"""In: blocks that were inserted. Out: their rows of `usage_ledger`; and from these, up to where a partition's chain
reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from schemas.usage import TIMESTAMP
from sinks.database import Database, read_sql
from sinks.events.ranges import RangeBlock
from sinks.refusals.isolate import RefusedRow

_INTS: Final = (
    *("first", "next", "read", "enriched", "duplicates", "rejected", "late", "input_tokens", "output_tokens"),
    *("cost_nanousd", "unpriced", "unattributed"),
)
_REFUSED: Final = (
    "refused",
    *("refused_input_tokens", "refused_output_tokens", "refused_cost_nanousd", "refused_unpriced"),
)

LEDGER: Final = pa.schema(
    [
        pa.field("log", pa.utf8(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in (*_INTS, *_REFUSED)),
        pa.field("min_event_at", TIMESTAMP),
        pa.field("max_event_at", TIMESTAMP),
        pa.field("appended_at", TIMESTAMP, nullable=False),
        pa.field("rate_card", pa.utf8(), nullable=False),
        pa.field("control", pa.int64(), nullable=False),
        pa.field("enriched_offset", pa.int64(), nullable=False),
        pa.field("inserted_at", TIMESTAMP, nullable=False),
    ]
)


def ledger_rows(blocks: Sequence[RangeBlock], log: str, now_us: int, refused: Sequence[RefusedRow] = ()) -> pa.Table:
    """One row per source range. Written after its events: a range in the ledger is a range in ClickHouse, but for the
    `refused` rows, which it counts.
    """
    columns: dict[str, list[Any]] = {name: [getattr(block.ledger, name) for block in blocks] for name in _INTS}
    columns |= _refused_columns(blocks, refused)
    columns |= {
        "log": [log] * len(blocks),
        "partition": [block.source.partition for block in blocks],
        "min_event_at": [block.ledger.min_event_us for block in blocks],
        "max_event_at": [block.ledger.max_event_us for block in blocks],
        "appended_at": [block.ledger.append_us for block in blocks],
        "rate_card": [block.ledger.card for block in blocks],
        "control": [block.ledger.control for block in blocks],
        "enriched_offset": [block.last_offset for block in blocks],
        "inserted_at": [now_us] * len(blocks),
    }
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in LEDGER], schema=LEDGER)


def _refused_columns(blocks: Sequence[RangeBlock], refused: Sequence[RefusedRow]) -> dict[str, list[int]]:
    """How many rows of each range were refused, and what stands in them."""
    columns = {name: [0] * len(blocks) for name in _REFUSED}
    for one in refused:
        offset = one.row["src_offset"][0].as_py()
        for place, block in enumerate(blocks):
            if block.source.first <= offset < block.source.next:
                columns["refused"][place] += 1
                columns["refused_unpriced"][place] += one.row["cost_nanousd"].null_count
                for name in ("input_tokens", "output_tokens", "cost_nanousd"):
                    columns[f"refused_{name}"][place] += one.row[name][0].as_py() or 0
                break
    return columns


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """`applied`: next source offset that ClickHouse does not have; `resume`: offset on usage.enriched behind that."""

    applied: int
    resume: int


def chain_end(database: Database, log: str, partition: int, *, accept_gaps: bool = False) -> ChainEnd | None:
    """Where the newest contiguous ranges of a partition end, by its last 10,000 ranges; None when there are none.

    The sink inserts in order, so a gap means that rows were removed: reading goes on from there, and what follows is
    repeated under its old keys. With `accept_gaps` the greatest end counts.
    """
    rows = database.query(read_sql("events", "chain_end.sql"), {"log": log, "partition": partition})
    end: ChainEnd | None = None
    for first, after, enriched_offset in sorted(rows):
        if end is not None and first > end.applied and not accept_gaps:
            break
        if end is None or after > end.applied:
            end = ChainEnd(after, enriched_offset + 1)
    return end

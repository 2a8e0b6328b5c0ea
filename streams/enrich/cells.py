"""In: enriched rows. Out: their sums per input partition, cell dimensions and event-time minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.tallies import CELL_DIMENSIONS, MEASURES
from streams.enrich.columns import Ints, ints, whole
from streams.enrich.groups import Names, keys_of, sum_groups

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Cells:
    """One row per cell, ordered by partition, dimensions (null first) and minute.

    `names` has an entry for each of CELL_DIMENSIONS; `minute` is in minutes since the epoch; `sums` is measures × rows,
    in the order of MEASURES.
    """

    partition: Ints
    names: dict[str, Names]
    minute: Ints
    sums: Ints


def cells_of(enriched: pa.Table) -> Cells:
    """Sum the rows of an ENRICHED table."""
    partition = ints(enriched, "src_partition")
    minute = ints(enriched, "occurred_at") // _MINUTE_US
    names = {name: Names.of(enriched.column(name)) for name in CELL_DIMENSIONS}
    keys = keys_of([partition, *(one.codes for one in names.values()), minute], enriched.num_rows)
    rows, sums = sum_groups(keys, np.stack([_measure(enriched, name) for name in MEASURES]))
    return Cells(partition[rows], {name: one.take(rows) for name, one in names.items()}, minute[rows], sums)


def _measure(enriched: pa.Table, name: str) -> Ints:
    """What each row adds to one of MEASURES; a null adds nothing."""
    if name == "calls":
        return np.ones(enriched.num_rows, np.int64)
    if name == "errors":
        return _counts(pc.equal(enriched.column("status"), "error"))
    if name == "unpriced":
        return _counts(pc.is_null(enriched.column("cost_nanousd")))
    if name == "late":
        return _counts(enriched.column("late"))
    return ints(enriched, name)


def _counts(truths: pa.ChunkedArray) -> Ints:
    return whole(truths).to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]

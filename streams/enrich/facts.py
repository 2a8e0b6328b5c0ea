"""In: enriched rows. Out: what each of them adds to sums, as arrays, beside the columns that it can be chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.tallies import MEASURES
from streams.enrich.columns import Ints, ints, whole
from streams.enrich.groups import Index, Names

_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """One entry per row. `minute` is in minutes since the epoch; `sums` is measures × rows, in the order of MEASURES;
    `table` has the columns, `coded` those of them that are there by codes too.
    """

    partition: Ints
    minute: Ints
    sums: Ints
    table: pa.Table
    coded: Mapping[str, pa.Array] = field(default_factory=dict)
    _names: dict[str, Names] = field(default_factory=dict, init=False)

    def names(self, column: str) -> Names:
        """A column of texts, encoded once for all who ask."""
        if column not in self._names:
            self._names[column] = Names.of(self.column(column))
        return self._names[column]

    def column(self, name: str) -> pa.Array:
        """By codes, where they are known."""
        return self.coded[name] if name in self.coded else whole(self.table.column(name))

    def among(self, wanted: Mapping[str, pa.Array]) -> Index:
        """The rows whose columns all have one of the texts wanted of them."""
        chosen = np.ones(self.table.num_rows, bool)
        for name, texts in wanted.items():
            column = self.column(name)
            if isinstance(column, pa.DictionaryArray):
                hits = [*pc.is_in(column.dictionary, value_set=texts).to_pylist(), False]
                places = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
                chosen &= np.array(hits, bool)[places]
            else:
                chosen &= pc.is_in(column, value_set=texts).to_numpy(zero_copy_only=False)
        return np.flatnonzero(chosen)


def facts_of(enriched: pa.Table, coded: Mapping[str, pa.Array] | None = None) -> Facts:
    """Of an ENRICHED table. `coded`: columns of it by codes, where they are known already."""
    return Facts(
        ints(enriched, "src_partition"),
        ints(enriched, "occurred_at") // _MINUTE_US,
        np.stack([_measure(enriched, name) for name in MEASURES]),
        enriched,
        coded or {},
    )


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

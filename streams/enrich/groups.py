"""In: columns that name a group, and measures. Out: the groups in ascending order, and their sums.

A batch has few distinct names and many rows, so names become small integers and a group one integer key: sorting those
costs a tenth of what a general group-by over text columns does, and needs no threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.enrich.columns import Ints, whole

Index = npt.NDArray[np.intp]

#: Keys stay below this, so that multiplying them out cannot leave 64 bits.
_LARGEST_KEY: Final = 2**62


@dataclass(frozen=True, slots=True)
class Names:
    """A text column as codes: 0 is null, i is `texts[i]`. `texts` ascend, and `texts[0]` is None."""

    texts: list[str | None]
    codes: Ints

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> Names:
        """Encode a column. Python sees each distinct text once."""
        array = whole(column)
        if array.null_count == len(array):
            return cls([None], np.zeros(len(array), np.int64))
        encoded = array.dictionary_encode()
        found = encoded.dictionary.to_pylist()
        texts = sorted(found)
        place = {text: code for code, text in enumerate(texts, 1)}
        table = np.array([*(place[text] for text in found), 0], np.int64)
        return cls([None, *texts], table[encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)])

    def take(self, rows: Index) -> Names:
        return Names(self.texts, self.codes[rows])

    def column(self) -> pa.Array:
        """The texts again."""
        return pa.array(self.texts, pa.utf8()).take(pa.array(self.codes))


def keys_of(columns: Sequence[Ints], rows: int) -> Ints:
    """One integer per row that orders `rows` rows as the tuples of their columns do."""
    keys, size = np.zeros(rows, np.int64), 1
    for column in columns if rows else ():
        least = int(column.min())
        span = int(column.max()) - least + 1
        if size * span > _LARGEST_KEY:
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
            size = rows
        if span > 1:
            keys = keys * span + (column - least)
            size *= span
    return keys


def sum_groups(keys: Ints, measures: Ints) -> tuple[Index, Ints]:
    """One row of each group, by ascending key, and the sums (measures × groups) of `measures` (measures × rows)."""
    if len(keys) == 0:
        return np.zeros(0, np.intp), measures
    order = np.argsort(keys)
    ordered = keys[order]
    lasts = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    # Differences of running sums: exact even where a running sum wraps, and with small groups faster than `reduceat`.
    running = np.cumsum(measures.take(order, axis=1), axis=1).take(lasts, axis=1)
    return order[lasts], np.diff(running, axis=1, prepend=0)

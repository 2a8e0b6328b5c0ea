"""In: text columns and dated answers. Out: both as small integers, so that a batch is decided by arrays and not row by
row.

A code is a place in a list of names; NOBODY stands for null and for what the list does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.base import Dated
from streams.enrich.columns import Ints

Codes = npt.NDArray[np.int32]
NOBODY = -1


class Terms:
    """Dated answers of many subjects, flattened: subject i owns terms [starts[i], starts[i + 1])."""

    def __init__(self, subjects: Sequence[Iterable[tuple[Dated, Sequence[int]]]], answers: int) -> None:
        starts, begins, ends, values = [0], [], [], []
        for terms in subjects:
            for term, answer in terms:
                begins.append(term.from_us)
                ends.append(term.to_us)
                values.append(answer)
            starts.append(len(begins))
        self._starts = np.asarray(starts, np.int64)
        self._begins = np.asarray(begins, np.int64)
        self._ends = np.asarray(ends, np.int64)
        #: Answers × terms; the last column answers where no term holds.
        self._values = np.full((answers, len(begins) + 1), NOBODY, np.int32)
        self._values[:, :-1] = np.asarray(values, np.int32).reshape(len(begins), answers).T

    def at(self, subject: Codes, time_us: Ints) -> list[Codes]:
        """Each answer for each row's subject at its time; NOBODY without a subject or a term."""
        term = np.full(len(subject), self._values.shape[1] - 1, np.int64)
        rows = np.flatnonzero(subject >= 0)
        place, end = self._starts[subject[rows]], self._starts[subject[rows] + 1]
        while len(rows):
            # One round per term of the subject with the most terms; nearly everybody has one.
            open_ = place < end
            rows, place, end = rows[open_], place[open_], end[open_]
            hit = (self._begins[place] <= time_us[rows]) & (time_us[rows] < self._ends[place])
            term[rows[hit]] = place[hit]
            rows, place, end = rows[~hit], place[~hit] + 1, end[~hit]
        return [answers[term] for answers in self._values]


def intern(table: dict[str, int], value: str | None) -> int:
    """The code of a name, which `table` gets if it has not."""
    return NOBODY if value is None else table.setdefault(value, len(table))


def nobody(rows: int) -> Codes:
    return np.full(rows, NOBODY, np.int32)


def look_up(column: pa.Array, codes: Mapping[str, int]) -> Codes:
    """The code of each row's text; NOBODY for null and for texts without one. Python sees each distinct text once."""
    if column.null_count == len(column):
        return nobody(len(column))
    encoded = encode(column)
    return codes_of(encoded, [codes.get(text, NOBODY) for text in encoded.dictionary.to_pylist()])


def look_up_all(column: pa.Array, codes: Mapping[str, int], names: list[str]) -> Codes:
    """As `look_up`, where `names` are those of `codes` and grow by the texts without a code, which get one."""
    if column.null_count == len(column):
        return nobody(len(column))
    encoded = encode(column)
    found = []
    for text in encoded.dictionary.to_pylist():
        code = codes.get(text)
        if code is None:
            code = len(names)
            names.append(text)
        found.append(code)
    return codes_of(encoded, found)


def encode(column: pa.Array) -> pa.DictionaryArray:
    """The column by codes of its texts; as it is, when that is what it is."""
    return column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()


def plain(column: pa.Array) -> pa.Array:
    """The column's texts, row by row."""
    if not isinstance(column, pa.DictionaryArray):
        return column
    return pc.take(column.dictionary, column.indices, boundscheck=False)


def codes_of(encoded: pa.DictionaryArray, codes: list[int]) -> Codes:
    """The code of each row, from those of the dictionary."""
    table = np.asarray([*codes, NOBODY], np.int32)
    places = encoded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
    found: Codes = table.take(places)
    return found


def coded(codes: npt.NDArray[np.integer], names: Sequence[str]) -> pa.Array:
    """Column of texts that stays encoded, from codes into `names`; NOBODY becomes null. It is asked for its texts more
    than once on the way, and encoding texts is dearer than all that is done with them.
    """
    if not names:
        return pa.nulls(len(codes), pa.utf8())
    missing = codes < 0
    places = pa.array(codes, pa.int32(), mask=missing if missing.any() else None)
    return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.utf8()))

"""Groups against plain Python: names and their order, keys beyond 64 bits, sums whose running total wraps."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from streams.enrich.groups import Names, keys_of, sum_groups

TEXTS = st.lists(st.none() | st.sampled_from(["", "a", "b", "é", "Z"]), max_size=20)
#: Three such columns span more than 64 bits.
WIDE = st.sampled_from([-(2**40), -1, 0, 1, 2**40])
ROWS = st.lists(st.tuples(WIDE, WIDE, st.integers(0, 2), st.integers(-(2**62), 2**62)), min_size=1, max_size=30)


@given(TEXTS, TEXTS)
def test_names_come_back_and_their_codes_ascend_with_null_first(some: list[str | None], more: list[str | None]) -> None:
    names = Names.of(pa.chunked_array([pa.array(some, pa.utf8()), pa.array(more, pa.utf8())]))
    assert names.column().to_pylist() == some + more
    by_code = [text for _, text in sorted(zip(names.codes.tolist(), some + more, strict=True), key=lambda one: one[0])]
    assert by_code == sorted(some + more, key=lambda text: (text is not None, text or ""))


@given(st.lists(st.none() | st.integers(0, 4), max_size=20), st.permutations(["b", "a", "b", "é", "never"]))
def test_a_column_that_is_encoded_already_has_the_same_names(places: list[int | None], dictionary: list[str]) -> None:
    """Its dictionary may have texts that no row has, and one text twice."""
    encoded = pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(dictionary))
    plain = pa.array([None if place is None else dictionary[place] for place in places], pa.utf8())
    names, expected = Names.of(encoded), Names.of(plain)
    assert (names.texts, names.codes.tolist()) == (expected.texts, expected.codes.tolist())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-(2**57), 2**57)), min_size=3, max_size=30))
def test_few_possible_keys_sum_exactly_too(rows: list[tuple[int, int]]) -> None:
    """Beyond what floating point holds, which a table of all keys is counted in."""
    keys = np.array([key for key, _ in rows], np.int64)
    values = [value for _, value in rows]
    found, sums = sum_groups(keys, np.array([values, [0] * len(rows), [1] * len(rows)], np.int64))
    expected = {key: [0, 0, 0] for key in sorted(keys.tolist())}
    for key, value in rows:
        expected[key][0] += value
        expected[key][2] += 1
    assert keys[found].tolist() == list(expected)
    assert sums.T.tolist() == list(expected.values())


@given(ROWS)
def test_groups_ascend_and_sum_exactly(rows: list[tuple[int, int, int, int]]) -> None:
    columns = np.array([row[:3] for row in rows], np.int64).T
    measures = np.array([[row[3] for row in rows], [1] * len(rows)], np.int64)
    found, sums = sum_groups(keys_of([*columns], len(rows)), measures)
    expected: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
    for *group, value in rows:
        expected[tuple(group)][0] += value
        expected[tuple(group)][1] += 1
    assert [tuple(columns[:, row].tolist()) for row in found.tolist()] == sorted(expected)
    # A single group's sum may leave 64 bits here, which no real measure does: compare what is left of it.
    wrapped = [[(total + 2**63) % 2**64 - 2**63, count] for _, (total, count) in sorted(expected.items())]
    assert sums.T.tolist() == wrapped


def test_no_rows_no_groups() -> None:
    rows, sums = sum_groups(keys_of([np.zeros(0, np.int64)], 0), np.zeros((2, 0), np.int64))
    assert len(rows) == 0
    assert sums.shape == (2, 0)

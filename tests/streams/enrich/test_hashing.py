"""The hashes that stand in Kafka for a day: golden values, nulls, slices, equality where texts are equal."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from streams.enrich.hashing import combine, hash_integers, hash_names, hash_text

GOLDEN_TEXTS: Final = [
    "79cfc3dbe5bbfcaf",
    "4a409b5c00f581e7",
    "a9b0a22b362c413e",
    "ef6b98f6c53987c3",
    "1f7dfc18e54f716f",
    "9e3779b97f4a7c15",
]
GOLDEN_INTEGERS: Final = ["9ca066f1a4ab2eea", "e5fdc025e13eeed5", "25b775faeca8f520", "1f43b10d494ca68f"]
GOLDEN_COMBINED: Final = "34d779f255cb93a6"


def test_golden_values_never_change() -> None:
    """They are kept in usage.fingerprints: with others, every resend across an upgrade would count twice."""
    texts = pa.array(["", "a", "12345678", "123456789", "é€😀", None])
    assert [f"{value:016x}" for value in hash_text(texts).tolist()] == GOLDEN_TEXTS
    numbers = np.array([0, 1, -1, 2**62], np.int64)
    assert [f"{value:016x}" for value in hash_integers(numbers).tolist()] == GOLDEN_INTEGERS
    both = combine(hash_text(pa.array(["svc"])), hash_text(pa.array(["e1"])))
    assert f"{both.tolist()[0]:016x}" == GOLDEN_COMBINED


@given(st.lists(st.none() | st.text(max_size=40), max_size=60))
def test_equal_exactly_where_the_texts_are_equal(texts: list[str | None]) -> None:
    hashes = hash_text(pa.array(texts, pa.utf8())).tolist()
    for left, one in zip(texts, hashes, strict=True):
        for right, other in zip(texts, hashes, strict=True):
            assert (one == other) == (left == right)


@given(st.lists(st.none() | st.text(max_size=20), min_size=1, max_size=30), st.data())
def test_a_slice_hashes_as_its_rows_do(texts: list[str | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(texts) - 1))
    column = pa.array(texts, pa.utf8())
    assert hash_text(column.slice(start)).tolist() == hash_text(column).tolist()[start:]
    chunked = pa.chunked_array([column.slice(0, start), column.slice(start)], pa.utf8())
    assert hash_text(chunked).tolist() == hash_text(column).tolist()


@given(st.lists(st.none() | st.sampled_from(["", "a", "12345678", "123456789abcdefgh", "é€😀"]), max_size=30))
def test_names_hash_as_texts_do(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.utf8())
    assert hash_names(column).tolist() == hash_text(column).tolist()
    assert hash_names(pa.chunked_array([column, column])).tolist() == hash_text(column).tolist() * 2


def test_bytes_behind_a_null_do_not_matter() -> None:
    texts = pa.array(["secret", "x"])
    masked = pa.Array.from_buffers(pa.utf8(), 2, [pa.py_buffer(b"\x02"), *texts.buffers()[1:]])
    assert masked.null_count == 1
    assert hash_text(masked).tolist() == hash_text(pa.array([None, "x"])).tolist()


def test_the_order_of_columns_matters() -> None:
    one, other = hash_text(pa.array(["a"])), hash_text(pa.array(["b"]))
    assert combine(one, other).tolist() != combine(other, one).tolist()


def test_no_rows() -> None:
    assert hash_text(pa.array([], pa.utf8())).tolist() == []
    assert hash_text(pa.chunked_array([], pa.utf8())).tolist() == []

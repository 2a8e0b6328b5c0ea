"""Columns by codes beside the same as texts: names, and the rows that are among those wanted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from streams.enrich.coded import NOBODY, coded, plain
from streams.enrich.facts import Facts, facts_of
from tests.support.blocks import enriched_table

NAMES = ("a", "b", "c")
CODES = st.lists(st.integers(NOBODY, len(NAMES) - 1), min_size=1, max_size=12)


def both(role: list[int], team: list[int]) -> tuple[Facts, Facts]:
    """The facts with columns by codes, and without."""
    columns = {name: coded(np.array(codes, np.int32), NAMES) for name, codes in (("role", role), ("project_id", team))}
    table = enriched_table(len(role), **{name: plain(column).to_pylist() for name, column in columns.items()})
    return facts_of(table, columns), facts_of(table)


@given(CODES, st.lists(st.sampled_from([*NAMES, "nobody"]), max_size=3))
def test_columns_by_codes_choose_the_rows_that_their_texts_do(codes: list[int], wanted: list[str]) -> None:
    some, other = both(codes, codes[::-1])
    texts = {name: pa.array(wanted, pa.utf8()) for name in ("role", "project_id")}
    assert some.among(texts).tolist() == other.among(texts).tolist()
    expected = [
        row
        for row, (role, team) in enumerate(zip(codes, codes[::-1], strict=True))
        if NOBODY not in (role, team) and NAMES[role] in wanted and NAMES[team] in wanted
    ]
    assert some.among(texts).tolist() == expected


@given(CODES)
def test_names_are_encoded_once_and_alike(codes: list[int]) -> None:
    some, other = both(codes, codes)
    assert some.names("role") is some.names("role")
    assert some.names("role").texts == other.names("role").texts
    assert some.names("role").codes.tolist() == other.names("role").codes.tolist()

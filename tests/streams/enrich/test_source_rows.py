"""Source rows against a plain count: per source, broker minute and code, at the source's home; a flood of names too."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.rejections import Rejection, RejectionCode
from schemas.tallies import MEASURES, TALLIES, UNREADABLE_SOURCE, home_partition
from streams.enrich.budget_rows import BudgetIndex
from streams.enrich.facts import facts_of
from streams.enrich.source_rows import SourceRows, source_rows
from streams.enrich.tally import TallyMaker
from tests.support.blocks import enriched_table
from tests.support.enrich import NOON_US

HOMES = 5
MINUTE_US = 60_000_000
ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["gateway", "shell", "über-dienst"]),
        # A backlog may reach over a day, which is more minutes than rows.
        st.sampled_from([0, 1, 59_999_999, MINUTE_US, 1_440 * MINUTE_US]),
        st.booleans(),
    ),
    max_size=40,
)
REFUSED = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["gateway", "", None]),
        st.sampled_from([0, MINUTE_US]),
        st.sampled_from(["bad_value", "empty"]),
    ),
    max_size=8,
)


def rejection(partition: int, source: str | None, at: int, code: RejectionCode) -> Rejection:
    return Rejection(
        code=code,
        message="",
        topic="usage.events",
        partition=partition,
        offset=0,
        appended_at_us=NOON_US + at,
        source=source,
        raw="",
        raw_sha256="",
        raw_bytes=0,
        raw_truncated=False,
    )


def rows_of(rows: list[Any], refused: list[Any]) -> SourceRows:
    rows = sorted(rows, key=lambda row: row[0])
    return source_rows(
        np.array([row[0] for row in rows], np.int32),
        pa.chunked_array([[row[1] for row in rows]], pa.utf8()),
        np.array([NOON_US + row[2] for row in rows], np.int64),
        np.array([row[3] for row in rows], bool),
        [rejection(*one) for one in refused],
    )


@settings(max_examples=60)
@given(ROWS, REFUSED)
def test_counts_and_homes_are_those_of_a_plain_count(rows: list[Any], refused: list[Any]) -> None:
    wanted: Counter[tuple[Any, ...]] = Counter()
    for partition, source, at, passed in rows:
        if passed:
            wanted[partition, source, (NOON_US + at) // MINUTE_US, None] += 1
    for partition, source, at, code in refused:
        wanted[partition, source or UNREADABLE_SOURCE, (NOON_US + at) // MINUTE_US, code] += 1
    found: Counter[tuple[Any, ...]] = Counter()
    for (partition, home), tally in (
        TallyMaker(HOMES).tally(facts_of(enriched_table(0)), BudgetIndex(()), rows_of(rows, refused)).items()
    ):
        assert tally.schema.equals(TALLIES)
        for row in tally.to_pylist():
            assert home == home_partition(f"source/{row['source']}", HOMES)
            key = (partition, row["source"], row["minute"], row["rejection_code"])
            assert key not in found, "a key has one row"
            found[key] = row["calls"]
            assert all(row[name] == 0 for name in MEASURES if name != "calls")
            assert row["team_id"] is row["budget_id"] is row["period_start"] is None
    assert found == wanted


def test_cells_budgets_and_sources_share_a_message_and_keep_apart() -> None:
    table = enriched_table(3, team_id=["a", "b", "b"], input_tokens=[1, 2, 4])
    sources = rows_of([(0, "gateway", 0, True)] * 3, [(0, None, 0, "empty")])
    [tally] = TallyMaker(1).tally(facts_of(table), BudgetIndex(()), sources).values()
    rows = [(row["team_id"], row["source"], row["rejection_code"], row["calls"]) for row in tally.to_pylist()]
    assert sorted(rows, key=str) == sorted(
        [
            ("a", None, None, 1),
            ("b", None, None, 2),
            (None, "gateway", None, 3),
            (None, UNREADABLE_SOURCE, "empty", 1),
        ],
        key=str,
    )


def test_as_many_sources_as_events() -> None:
    rows = rows_of([(0, f"s{n:04d}", 0, True) for n in range(2_000)], [])
    assert rows.calls.tolist() == [1] * 2_000
    assert rows.names == sorted(f"s{n:04d}" for n in range(2_000))

"""Rows that ClickHouse refuses stand alone in the end, whatever their places; a repeat makes the same inserts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.errors import ContentRefused, SinkError, sentence_of, verdict
from sinks.refusals.isolate import insert_good_rows
from sinks.refusals.refusal_limit import RefusalLimit
from tests.support.blocks import enriched_table, us


class PickyTable:
    """Refuses rows whose offset is bad, and inserts over too many months. Remembers tokens as ClickHouse does."""

    def __init__(self, bad: set[int], max_months: int = 1_000, crash_after: int | None = None) -> None:
        self.bad, self.max_months, self.crash_after = bad, max_months, crash_after
        self.stored: dict[str, list[int]] = {}
        self.tried = 0

    def insert(self, rows: pa.Table, token: str) -> None:
        self.tried += 1
        if self.crash_after is not None and self.tried > self.crash_after:
            raise ConnectionAbortedError
        offsets = rows["src_offset"].to_pylist()
        months = {when.month + 12 * when.year for when in rows["occurred_at"].to_pylist()}
        if len(months) > self.max_months:
            raise ContentRefused("", 252, "too many", by_partitions=True)
        if self.bad & set(offsets):
            raise ContentRefused("", 469, "bad", by_partitions=False)
        assert self.stored.setdefault(token, offsets) == offsets, "one token stood for different rows"

    @property
    def rows(self) -> list[int]:
        return sorted(offset for offsets in self.stored.values() for offset in offsets)


def months(rows: int, every: int) -> list[int]:
    return [us(2020 + n // every // 12, n // every % 12 + 1, 3) for n in range(rows)]


@given(st.integers(1, 60), st.data())
def test_any_bad_rows_are_found_and_a_crash_anywhere_changes_nothing(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=8))
    rows = enriched_table(count, occurred_at=months(count, 4))
    table = PickyTable(bad, max_months=data.draw(st.integers(1, 20)))
    table.crash_after = data.draw(st.integers(0, 40))
    try:
        insert_good_rows(rows, "log:0:0-60", table.insert, 60)
    except ConnectionAbortedError:
        table.crash_after = None
        refused = insert_good_rows(rows, "log:0:0-60", table.insert, 60)
        assert {one.row["src_offset"][0].as_py() for one in refused} == bad
    table.crash_after = None
    found = insert_good_rows(rows, "log:0:0-60", table.insert, 60)
    assert [one.row["src_offset"][0].as_py() for one in found] == sorted(bad)
    assert table.rows == sorted(set(range(count)) - bad), "every good row once"


def test_one_bad_row_among_many_costs_few_inserts() -> None:
    table = PickyTable({777})
    (refused,) = insert_good_rows(enriched_table(4_096), "t", table.insert, 1)
    assert (refused.code, refused.sentence) == (469, "bad")
    assert table.tried == 1 + 2 * 12


def test_too_many_months_are_cut_and_no_row_is_blamed() -> None:
    rows = enriched_table(12, occurred_at=months(12, 1))
    table = PickyTable(set(), max_months=3)
    assert insert_good_rows(rows, "t", table.insert, 0) == []
    assert table.rows == list(range(12))
    with pytest.raises(ContentRefused):
        insert_good_rows(rows, "t", PickyTable(set(), max_months=0).insert, 0)


def test_a_table_that_takes_nothing_stops_the_sink() -> None:
    table = PickyTable(set(range(1_000)))
    with pytest.raises(SinkError, match=r"more than 5 of 1000 rows.*code 469: bad.*REFUSE_LIMIT_ROWS"):
        insert_good_rows(enriched_table(1_000), "t", table.insert, 5)
    assert table.tried < 40


def test_the_limit_counts_runs_and_shares() -> None:
    limit = RefusalLimit(rows=3, share=0.1)
    for _ in range(3):
        limit.count(1, 1)
    limit.count(100, 0)
    limit.count(1, 1)
    with pytest.raises(SinkError, match=r"4 rows in a row.*the sentence"):
        limit.count(3, 3, "the sentence")
    limit = RefusalLimit(rows=3, share=0.1)
    limit.count(20, 2)
    limit.count(0, 0)
    with pytest.raises(SinkError, match="4 of the newest 39 rows"):
        limit.count(19, 2)
    limit = RefusalLimit(rows=3, share=0.1)
    for _ in range(1_000):
        limit.count(100, 3)


def test_clickhouse_s_sentence_is_told_from_the_words_around_it() -> None:
    whole = (
        "Received ClickHouse exception, code: 469, server response: Code: 469. DB::Exception: Constraint `c` for table "
        "t.u is violated at row 3. (VIOLATED_CONSTRAINT) (version 26.9.1.1) (for url http://127.0.0.1:1)"
    )
    assert sentence_of(Exception(whole)) == "Constraint `c` for table t.u is violated at row 3. (VIOLATED_CONSTRAINT)"
    assert sentence_of(Exception("no answer")) == "no answer"
    assert verdict(OSError()) == "transient"

"""Inserts: a token makes a repeat nothing, keys make a resend one row, the first delivery wins, months are cut."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import ContentRefused, code_of, verdict
from sinks.events.event_rows import by_months
from sinks.migrate import migrate
from sinks.refusals.isolate import insert_good_rows
from tests.support.blocks import NOON_US, enriched_table, us


def rows_of(table: pa.Table) -> pa.Table:
    return table.append_column("log", pa.array(["cluster/topic"] * table.num_rows))


def test_the_same_token_inserts_once(database: Database) -> None:
    rows = rows_of(enriched_table(100))
    for _ in range(2):
        database.insert("usage_events_raw", rows, "log:0:0-100")
    assert database.query("SELECT count() FROM usage_events_raw") == [(100,)]
    database.insert("usage_events_raw", rows, "log:0:0-100x")
    assert database.query("SELECT count() FROM usage_events_raw") == [(200,)]
    assert database.query("SELECT count() FROM usage_events") == [(100,)]


def test_a_token_stands_for_the_rows_however_they_are_chunked(database: Database) -> None:
    rows = rows_of(enriched_table(100))
    database.insert("usage_events_raw", rows, "log:0:0-100")
    database.insert("usage_events_raw", pa.concat_tables([rows.slice(0, 30), rows.slice(30)]), "log:0:0-100")
    assert database.query("SELECT count() FROM usage_events_raw") == [(100,)]


def test_the_first_delivery_wins(database: Database) -> None:
    late = enriched_table(1, occurred_at=NOON_US, ingested_at=NOON_US + 5_000_000, team_id="later")
    early = enriched_table(1, occurred_at=NOON_US, ingested_at=NOON_US + 1_000_000, team_id="first")
    for number, table in enumerate((late, early, late)):
        database.insert("usage_events_raw", rows_of(table), f"t{number}")
    assert database.query("SELECT team_id FROM usage_events") == [("first",)]
    database.command("OPTIMIZE TABLE usage_events_raw FINAL")
    assert database.query("SELECT team_id FROM usage_events_raw") == [("first",)]


def test_values_survive_the_way(database: Database) -> None:
    table = enriched_table(
        2,
        cost_nanousd=[1_234_567_891, None],
        meters=[[("images", 3)], []],
        tags=[[("env", "prod")], []],
        latency_ms=[None, 7],
        gateway_cache_hit=[True, False],
        occurred_at=[us(2023, 7, 31, 23) + 123_456, us(2026, 3, 2)],
        team_id=["ünï 'quoted'\ttab", None],
    )
    database.insert("usage_events_raw", rows_of(table), "t")
    rows = database.query(
        "SELECT team_id, cost_nanousd, toString(cost_usd), meters, tags, latency_ms, gateway_cache_hit, "
        "toString(occurred_at), log FROM usage_events ORDER BY src_offset"
    )
    assert rows == [
        (
            *("ünï 'quoted'\ttab", 1_234_567_891, "1.234567891", {"images": 3}, {"env": "prod"}, None, True),
            *("2023-07-31 23:00:00.123456", "cluster/topic"),
        ),
        (None, None, None, {}, {}, 7, False, "2026-03-02 12:00:00.000000", "cluster/topic"),
    ]


def test_a_block_over_many_months_is_cut_the_same_way_each_time(database: Database) -> None:
    """ClickHouse refuses one block over more than 100 table partitions."""
    months = [us(2015 + n // 12, n % 12 + 1, 3) for n in range(120)]
    rows = rows_of(enriched_table(240, occurred_at=months + months))
    with pytest.raises(Exception, match="partitions for single INSERT block") as refused:
        database.insert("usage_events_raw", rows, "whole")
    assert verdict(refused.value) == "partitions", "this code must not look transient"
    for _ in range(2):
        for part, token in by_months(rows, "log:0:0-240"):
            database.insert("usage_events_raw", part, token)
    assert database.query("SELECT count() FROM usage_events_raw") == [(240,)]
    parts = list(by_months(rows, "log:0:0-240"))
    assert [token for _, token in parts] == ["log:0:0-240:0", "log:0:0-240:1"]
    assert sum(part.num_rows for part, _ in parts) == 240


def test_a_server_that_takes_fewer_months_is_given_fewer(http_target: ClickHouseTarget) -> None:
    """The server's answer counts, not what is usual; and no row is blamed for it."""

    def insert(part: pa.Table, token: str) -> None:
        try:
            database.insert("usage_events_raw", part, token)
        except DatabaseError as error:
            raise ContentRefused("", code_of(error), "", by_partitions=verdict(error) == "partitions") from error

    months = [us(2015 + n // 12, n % 12 + 1, 3) for n in range(60)]
    with Database.open(http_target, create=True) as database:
        migrate(database, FixedClock(NOON_US), has_access_control=False)
        database.client.set_client_setting("max_partitions_per_insert_block", 25)
        for _ in range(2):
            assert insert_good_rows(rows_of(enriched_table(60, occurred_at=months)), "log:0:0-60", insert, 0) == []
        assert database.query("SELECT count() FROM usage_events_raw") == [(60,)]


def test_few_months_are_one_insert() -> None:
    rows = enriched_table(10)
    assert [token for _, token in by_months(rows, "t")] == ["t"]
    assert list(by_months(rows.slice(0, 0), "t")) == []
    parts = list(
        by_months(enriched_table(3, occurred_at=[us(2026, 1, 1), us(2026, 2, 1), us(2026, 3, 1)]), "t", max_months=2)
    )
    assert [pc.count(part["event_id"]).as_py() for part, _ in parts] == [2, 1]


def test_refusals_of_the_data_are_told_from_outages(database: Database) -> None:
    with pytest.raises(Exception, match=r"event_id|NULL|Cannot") as refused:
        database.insert("usage_events_raw", pa.table({"occurred_at": ["not a time"]}))
    assert verdict(refused.value) == "data"
    with pytest.raises(Exception, match="nosuch") as unknown:
        database.insert("nosuch", pa.table({"a": [1]}))
    assert verdict(unknown.value) == "unknown"

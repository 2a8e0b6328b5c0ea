"""ClickHouse refuses rows for their content: the bad ones alone are set aside, each with its sentence and its row."""

from __future__ import annotations

import base64
from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.arrow_ipc import from_ipc
from schemas.enriched import ENRICHED
from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import SinkError
from tests.sinks.running import SinkHouse
from tests.support.blocks import enriched_table, range_messages

pytestmark = pytest.mark.kafka

CONSTRAINT = "ALTER TABLE usage_events_raw ADD CONSTRAINT not_poisoned CHECK latency_ms IS NULL OR latency_ms < 1000000"
LEDGER = (
    "SELECT first, enriched, refused, refused_input_tokens, refused_output_tokens, refused_cost_nanousd, "
    "refused_unpriced FROM usage_ledger ORDER BY first"
)


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget) -> SinkHouse:
    house = SinkHouse(kafka_bootstrap, topic_prefix, http_target)
    with house.running():
        pass
    with Database.open(house.target) as database:
        database.command(CONSTRAINT)
    return house


def poisoned(rows: int, bad: set[int], first: int = 0) -> pa.Table:
    """Rows from offset `first` on; those at the offsets `bad` are what the table does not take."""
    offsets = range(first, first + rows)
    return enriched_table(
        rows,
        first=first,
        latency_ms=[2_000_000 if offset in bad else 5 for offset in offsets],
        input_tokens=10,
        output_tokens=3,
        cost_nanousd=[None if offset % 2 else 70 for offset in offsets],
    )


def put(house: SinkHouse, table: pa.Table, first: int) -> None:
    source = SourceRange(0, first, first + table.num_rows)
    house.put(house.topics.enriched, 0, range_messages(table, source))


def test_bad_rows_alone_are_set_aside(house: SinkHouse) -> None:
    bad = {0, 17, 18, 44}
    for first in (0, 15, 30):
        put(house, poisoned(15, bad, first), first)
    with house.running() as sink:
        house.wait_for("SELECT count() FROM usage_rejected FINAL", [(4,)], sink)
        assert house.query(LEDGER) == [
            (0, 15, 1, 10, 3, 70, 0),
            (15, 15, 2, 20, 6, 70, 1),
            (30, 15, 1, 10, 3, 70, 0),
        ]
        stored = house.query("SELECT src_offset FROM usage_events_raw ORDER BY src_offset")
        assert [offset for (offset,) in stored] == sorted(set(range(45)) - bad)
        assert sink.metric("streamgauge_sink_refused_rows_total") == 4
        assert sink.metric("streamgauge_sink_inserts_total", table="usage_events_raw", result="refused") > 4
    rejected = house.query(
        "SELECT topic, partition, offset, `index`, code, source, event_id, message, raw, log FROM usage_rejected FINAL "
        "ORDER BY offset"
    )
    log = house.query("SELECT any(log) FROM usage_ledger")[0][0]
    assert [row[:7] for row in rejected] == [
        (house.topics.events, 0, offset, 0, "refused_by_clickhouse", "gateway", f"e0-{offset}")
        for offset in sorted(bad)
    ]
    assert all("code 469" in row[7] and "not_poisoned" in row[7] and row[9] == log for row in rejected)
    row = from_ipc(base64.b64decode(rejected[1][8]), ENRICHED)
    assert row.equals(poisoned(45, bad).slice(17, 1))


def test_a_table_that_takes_nothing_stops_the_sink_before_anything_is_set_aside(house: SinkHouse) -> None:
    house.config = replace(house.config, refuse_limit_rows=3)
    put(house, poisoned(50, set(range(10, 50))), 0)
    with (
        pytest.raises(SinkError, match=r"more than 3 of 50 rows.*code 469.*not_poisoned.*REFUSE_LIMIT_ROWS"),
        house.running() as sink,
    ):
        sink.await_error()
    assert house.query("SELECT count() FROM usage_ledger") == [(0,)]
    with Database.open(house.target) as database:
        database.command("ALTER TABLE usage_events_raw DROP CONSTRAINT not_poisoned")
    with house.running() as sink:
        house.wait_for("SELECT first, next, refused FROM usage_ledger", [(0, 50, 0)], sink)
        assert house.query("SELECT count() FROM usage_events") == [(50,)]
        assert house.query("SELECT count() FROM usage_rejected") == [(0,)]

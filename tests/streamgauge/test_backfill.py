"""ClickHouse loses its data, in whole or in part, and has all of it again: row by row, on Apache Kafka."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from runtime.clock import SystemClock
from runtime.group_admin import GroupInUse
from schemas.control.budgets import Budget
from sinks.config import ClickHouseTarget, SinkConfig
from sinks.migrate import known_migrations
from sinks.recovery.backfill import Backfill
from streamgauge.embedded.child import LOOPBACK
from tests.support.enrich import Event, event, json_value, send, send_events
from tests.support.house import TestHouse, wait_for

EVENTS = 60


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    with TestHouse(kafka_bootstrap, tmp_path, f"{topic_prefix}.", partitions=(2, 2)) as running:
        yield running


def outcome(number: int, **changes: Any) -> bytes:
    return json.dumps(
        {
            "outcome_id": f"o{number}",
            "source": "desk",
            "occurred_at": "2026-03-02T12:00:00Z",
            "team_id": "payments",
            "use_case": "support",
            "kind": "ticket_resolved",
            "succeeded": True,
            **changes,
        }
    ).encode()


def streamgauge(house: TestHouse, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamgauge", *arguments],
        env=house.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def by_command(house: TestHouse, *more: str) -> dict[str, Any]:
    done = streamgauge(house, "backfill", "--json", *more)
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def backfill_of(house: TestHouse) -> Backfill:
    target = ClickHouseTarget(LOOPBACK, house.clickhouse.port, "writer", house.clickhouse.writer_password)
    config = SinkConfig(flush_s=0.1, poll_ms=50)
    return Backfill(config, house.connection, house.topics, target, SystemClock(), None)


def write(house: TestHouse, sql: str) -> None:
    with clickhouse_connect.get_client(
        host=LOOPBACK,
        port=house.clickhouse.port,
        username="writer",
        password=house.clickhouse.writer_password,
        database="streamgauge",
    ) as client:
        client.command(sql)


def everything(house: TestHouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for when it was written."""
    columns = house.query(
        "SELECT table, groupArray(name) FROM (SELECT * FROM system.columns ORDER BY position) "
        "WHERE database = 'streamgauge' AND name != 'inserted_at' AND table IN (SELECT name FROM system.tables "
        "WHERE database = 'streamgauge' AND engine LIKE '%MergeTree' AND name != 'schema_migrations') GROUP BY table"
    )
    found = {}
    for table, names in columns:
        listed = ", ".join(f"`{name}`" for name in names)
        rows = house.query(f"SELECT {listed} FROM streamgauge.{table} FINAL")  # noqa: S608 - names of ClickHouse's own
        found[table] = sorted((tuple(row) for row in rows), key=repr)
    return found


def fill(house: TestHouse) -> None:
    house.apply(Budget(id="day", unit="calls", limit=Decimal(EVENTS // 2), period="day"))
    house.start()
    send_events(house.connection, house.topics, [event(number) for number in range(EVENTS)])
    bad: Event = event(1_000, input_tokens=-1)
    send(house.connection, house.topics.events, [(0, b"bad", json_value(bad))])
    send(
        house.connection,
        house.topics.outcomes,
        [(0, b"o1", outcome(1)), (1, b"o2", outcome(2)), (0, b"o3", outcome(3, kind=None))],
    )
    for sql, wanted in (
        ("SELECT count() FROM usage_events", EVENTS),
        ("SELECT count() FROM usage_outcomes FINAL", 2),
        ("SELECT count() FROM usage_rejected FINAL", 2),
        ("SELECT max(used) FROM governance_status FINAL", EVENTS),
        ("SELECT uniqExact(level) FROM governance_alerts", 3),
    ):
        wait_for(lambda sql=sql, wanted=wanted: house.query(sql)[0][0] == wanted, 60, f"{sql} = {wanted}")  # type: ignore[misc]


def stop(house: TestHouse, *names: str) -> None:
    for name in names:
        house.roles[name].stop()


@pytest.mark.kafka
def test_what_clickhouse_lost_is_filled_again_from_kafka(house: TestHouse, tmp_path: Path) -> None:
    fill(house)
    with pytest.raises(GroupInUse, match="stop them before ClickHouse is filled again"):
        backfill_of(house).run(threading.Event())
    stop(house, "enrich", "agents", "sink")
    before = everything(house)
    assert {name for name, rows in before.items() if rows} >= {
        "usage_events_raw",
        "usage_ledger",
        "usage_outcomes",
        "usage_rejected",
        "governance_alerts",
        "governance_status",
    }

    # All of it: the folder itself.
    house.clickhouse.stop()
    shutil.rmtree(tmp_path / "clickhouse")
    house.clickhouse.start()
    house.forget_client()
    found = by_command(house)
    assert set(before) <= set(found["missing_tables"])
    assert [one["lost"] for one in found["events"]] == [None, None]
    assert everything(house) == before

    # Again: nothing is doubled, not even before merges.
    again = backfill_of(house)
    assert [one.rows_missing for one in again.run(threading.Event()).events] == [False, False]
    assert everything(house) == before
    assert house.query("SELECT count() FROM streamgauge.usage_events_raw") == [(EVENTS,)]

    # A table that is gone, one that is empty, and rows of one partition of which the ledger says that they are there.
    write(house, "DROP TABLE governance_alerts")
    write(house, "TRUNCATE TABLE usage_outcomes")
    write(house, "DELETE FROM usage_events_raw WHERE src_partition = 1")
    planned = again.holdings()
    assert planned.missing_tables == ("governance_alerts",)
    assert [one.rows_missing for one in planned.events] == [False, True]
    again.run(threading.Event())
    assert everything(house) == before
    assert {one.version for one in known_migrations()} == {
        version for (version,) in house.query("SELECT DISTINCT version FROM streamgauge.schema_migrations")
    }

    # Life goes on without a hole.
    house.start("sink", "agents", "enrich")
    send_events(house.connection, house.topics, [event(EVENTS + number) for number in range(EVENTS)])
    send(house.connection, house.topics.outcomes, [(0, b"o4", outcome(4))])
    wait_for(lambda: house.query("SELECT count() FROM usage_events")[0][0] == 2 * EVENTS, 60, "the next events")
    wait_for(lambda: house.query("SELECT count() FROM usage_outcomes FINAL")[0][0] == 3, 60, "the next outcome")
    ledger = "SELECT sum(read), sum(enriched), sum(rejected) FROM usage_ledger FINAL"
    wait_for(lambda: tuple(house.query(ledger)[0]) == (2 * EVENTS + 1, 2 * EVENTS, 1), 60, "their ranges in the ledger")
    assert house.query("SELECT count() FROM usage_events") == [(2 * EVENTS,)]

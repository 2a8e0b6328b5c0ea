"""Migrations are applied once, in order; an edited one is refused; everything has a comment; TTLs follow settings."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runtime.clock import FixedClock
from schemas.enriched import ENRICHED
from schemas.outcomes import OUTCOME_COLUMNS
from sinks.config import ClickHouseTarget, Retention, SinkConfigError
from sinks.database import Database, split_statements
from sinks.errors import SinkError
from sinks.events.ledger import LEDGER
from sinks.migrate import Migration, known_migrations, migrate, pending
from sinks.records.record_rows import ADJUSTMENTS, ALERTS, REJECTED, STATUS
from sinks.retention import apply_retention
from tests.support.blocks import NOON_US

CLOCK = FixedClock(NOON_US)
VIEWS = {
    "usage_events",
    "usage_costs",
    "usage_daily_by_team",
    "usage_cohorts",
    "cost_per_outcome",
    "showback_monthly",
    "rejections_daily",
    "exception_outcomes",
    "policy_daily",
    "alert_precision",
}
TABLES = {
    "usage_events_raw",
    "usage_ledger",
    "usage_rejected",
    "usage_outcomes",
    "usage_adjustments",
    "rejected_replays",
    "governance_alerts",
    "governance_status",
    "schema_migrations",
}


def test_each_is_applied_once_and_recorded(target: ClickHouseTarget) -> None:
    with Database.open(target, create=True) as database:
        assert [m.version for m in pending(database)] == [m.version for m in known_migrations()]
        first = migrate(database, CLOCK, has_access_control=False)
        assert [m.version for m in first] == [m.version for m in known_migrations()]
        assert migrate(database, CLOCK, has_access_control=False) == []
        assert pending(database) == []
        rows = database.query("SELECT version, result FROM schema_migrations FINAL ORDER BY version")
        assert [version for version, _ in rows] == [m.version for m in known_migrations()]
        skipped = {version: result for version, result in rows if result != "applied"}
        assert set(skipped.values()) == {"skipped: no roles here, or no right to make them"}
        assert {row[0] for row in database.query("SHOW TABLES")} == TABLES | VIEWS


def test_an_edited_migration_is_refused_by_name(database: Database) -> None:
    migrations = known_migrations()
    migrations[2] = replace(migrations[2], text=migrations[2].text + "\n-- one more thought")
    with pytest.raises(SinkError, match=r"002_usage_ledger\.sql was edited.*next number"):
        migrate(database, CLOCK, has_access_control=False, migrations=migrations)


def test_a_crash_in_the_middle_is_repeated(target: ClickHouseTarget) -> None:
    """A file whose second statement fails leaves no record, and runs whole at the next start."""
    head = known_migrations()[:1]
    broken = Migration(
        1, "two", "CREATE TABLE IF NOT EXISTS one (a Int8) ENGINE = MergeTree ORDER BY a;\nSELECT nonsense;"
    )
    mended = replace(broken, text=broken.text.replace("SELECT nonsense;", "CREATE TABLE IF NOT EXISTS two AS one;"))
    with Database.open(target, create=True) as database:
        with pytest.raises(Exception, match="nonsense"):
            migrate(database, CLOCK, has_access_control=False, migrations=[*head, broken])
        assert migrate(database, CLOCK, has_access_control=False, migrations=[*head, mended]) == [mended]
        assert database.query("SELECT count() FROM two") == [(0,)]


def test_every_table_and_column_has_a_comment(database: Database) -> None:
    tables = database.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''")
    columns = database.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' "
    )
    assert tables == [], "write a COMMENT for these tables and views"
    assert columns == [], "write a COMMENT for these columns; a view declares its columns for that"


def test_tables_take_all_columns_that_are_written(database: Database) -> None:
    def columns(table: str) -> set[str]:
        rows = database.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": table},
        )
        return {name for (name,) in rows}

    assert columns("usage_events_raw") == {*ENRICHED.names, "log", "version"}
    assert columns("usage_events") == {*ENRICHED.names, "log", "cost_usd"} - {"user_hash"}
    assert columns("usage_ledger") == set(LEDGER.names)
    assert columns("usage_rejected") == set(REJECTED.names)
    assert columns("usage_outcomes") == {*OUTCOME_COLUMNS.names, "ingested_at", "value_usd", "baseline_cost_usd"}
    assert columns("usage_adjustments") == set(ADJUSTMENTS.names)
    assert columns("governance_alerts") == set(ALERTS.names)
    assert columns("governance_status") == set(STATUS.names)


def test_views_give_the_types_they_declare(database: Database) -> None:
    for view in VIEWS:
        declared = database.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {v:String} "
            "ORDER BY position",
            {"v": view},
        )
        select = database.query(
            "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {v:String}", {"v": view}
        )[0][0]
        given = [(row[0], row[1]) for row in database.query(f"DESCRIBE TABLE ({select})")]
        assert declared == given, view


def test_the_analyst_role_has_everything_but_the_user_and_raw_bytes() -> None:
    roles = [m for m in known_migrations() if re.search(r"(TO|FROM) streamgauge_analyst", m.text)]
    assert all(role.server_only for role in roles)
    statements = [statement for role in roles for statement in split_statements(role.text)]
    granted = {match[1] for s in statements if (match := re.search(r"GRANT SELECT(?:\(.*\))? ON (\w+) TO", s))}
    assert granted == (TABLES | VIEWS) - {"schema_migrations"}, (
        "grant a new table or view to the role, or say here why not"
    )
    for table in ("usage_events_raw", "usage_adjustments"):
        assert any(f"REVOKE SELECT(user_hash) ON {table}" in s for s in statements)
    rejected = next(s for s in statements if "ON usage_rejected" in s)
    assert re.search(r"\braw\b|\bmessage\b|\bevent_id\b", rejected) is None


def test_retention_follows_the_settings_and_changes_only_what_differs(database: Database) -> None:
    kept_for_ever = {"schema_migrations", "usage_adjustments", "rejected_replays"}
    assert set(apply_retention(database, Retention())) == TABLES - kept_for_ever
    assert apply_retention(database, Retention()) == []
    assert apply_retention(database, Retention(events_days=7)) == ["usage_events_raw"]
    engine = database.query(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'usage_events_raw'"
    )
    assert re.search(r"TTL toDateTime\(ingested_at\) \+ toIntervalDay\(.*7", engine[0][0])
    assert apply_retention(database, Retention(events_days=0)) == ["usage_events_raw"]
    engine = database.query(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'usage_events_raw'"
    )
    assert "TTL" not in engine[0][0]


def test_a_table_that_somebody_removed_is_named(database: Database) -> None:
    database.command("DROP TABLE governance_alerts")
    with pytest.raises(SinkError, match=r"table governance_alerts is not there.*streamgauge backfill"):
        apply_retention(database, Retention(alerts_days=1))


@pytest.mark.parametrize("days", [-1, 20_001, True, "30"])
def test_retention_is_whole_days_within_reason(days: object) -> None:
    with pytest.raises(SinkConfigError, match="events_days"):
        Retention(events_days=days)  # type: ignore[arg-type]


def test_statements_are_split_outside_of_quotes_and_comments() -> None:
    text = "-- a; b\nSELECT 'x;y', `a;b`;\n\n-- only a comment\n;SELECT 2"
    assert split_statements(text) == ["-- a; b\nSELECT 'x;y', `a;b`", "SELECT 2"]

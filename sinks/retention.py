"""In: days to keep. Out: the tables' TTLs, changed only where they differ, because changing one rewrites parts."""

from __future__ import annotations

import re
from typing import Final

from sinks.config import Retention
from sinks.database import Database, read_sql, split_statements
from sinks.errors import SinkError

_TABLE: Final = re.compile(r"ALTER TABLE (\w+) ")
#: As ClickHouse stores a bound parameter, or as a person would write the number.
_DAYS: Final = re.compile(r"toIntervalDay\((?:_CAST\()?(\d+)")


def apply_retention(database: Database, retention: Retention) -> list[str]:
    """Bring every table's TTL to the settings; returns the names of the tables that were changed."""
    wanted = {
        "usage_events_raw": retention.events_days,
        "usage_ledger": retention.ledger_days,
        "usage_rejected": retention.rejected_days,
        "usage_outcomes": retention.outcomes_days,
        "governance_alerts": retention.alerts_days,
        "governance_status": retention.status_days,
    }
    have = _days_by_table(database)
    changed = []
    for statement in split_statements(read_sql("retention.sql")):
        match = _TABLE.search(statement)
        assert match is not None
        table = match[1]
        if table not in have:
            raise SinkError(
                f"table {table} is not there although its migration was applied: somebody removed it. Run `streamgauge "
                "backfill`, which makes it again and fills it from Kafka"
            )
        days = wanted[table]
        if days == have[table]:
            continue
        if days == 0:
            database.command("ALTER TABLE {table:Identifier} REMOVE TTL", {"table": table})
        else:
            database.command(statement, {"days": days})
        changed.append(table)
    return changed


def _days_by_table(database: Database) -> dict[str, int]:
    rows = database.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
    found = {name: _DAYS.search(engine) for name, engine in rows}
    return {name: int(match[1]) if match else 0 for name, match in found.items()}

"""The analysts' view of what people made of alerts, with answers computed by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from schemas.alerts import Alert, AlertScope, AlertWindow
from sinks.database import Database
from sinks.records.record_rows import Record, alert_rows

MONDAY = datetime(2026, 11, 16, 3, tzinfo=UTC)


def alert(name: str, revision: int = 0, days: int = 0, **more: object) -> Alert:
    at = MONDAY + timedelta(days=days)
    fields: dict[str, object] = {
        "alert_id": name,
        "revision": revision,
        "kind": "spike",
        "state": "updated" if revision else "firing",
        "severity": "critical",
        "historical": False,
        "scope": AlertScope(team="search"),
        "window": AlertWindow(start=at, end=at),
        "unit": "nanousd",
        "observed": 1,
        "summary": "s",
        "suggested_action": "a",
        "occurred_at": at,
        "evaluated_at": at + timedelta(minutes=revision),
    }
    return Alert.model_validate(fields | more)


def test_each_alert_counts_once_by_the_newest_that_is_known(database: Database) -> None:
    alerts = [
        alert("a"),
        alert("a", 1, incident="runaway_loop"),
        alert("a", 2, incident="runaway_loop", said="acknowledged", state="resolved"),
        alert("b", incident="runaway_loop"),
        alert("c", days=1, incident="runaway_loop", said="noise"),
        alert("c", 1, days=1, state="resolved"),
        alert("d", days=7, kind="budget", scope=AlertScope(), said="expected"),
        alert("e", historical=True),
    ]
    records = [
        Record(offset, one.alert_id.encode(), one.model_dump_json().encode(), 0) for offset, one in enumerate(alerts)
    ]
    database.insert("governance_alerts", alert_rows(records, 0).table)
    rows = database.query(
        "SELECT week, kind, incident, team_id, told, acknowledged, expected, noise, unanswered FROM alert_precision "
        "ORDER BY week"
    )
    assert rows == [
        (date(2026, 11, 16), "spike", "runaway_loop", "search", 3, 1, 0, 1, 1),
        (date(2026, 11, 23), "budget", None, None, 1, 0, 1, 0, 0),
    ]

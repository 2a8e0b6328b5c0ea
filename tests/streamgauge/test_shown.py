"""What the commands show of alerts and budgets: the newest state, in tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from confluent_kafka import Producer
from typer.testing import CliRunner

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.alerts import Alert, AlertScope, AlertWindow
from schemas.status import AsOf, BudgetStatus, StatusPeriod, status_key
from schemas.topics import Topics
from streamgauge.cli import app
from tests.streamgauge.brokers import topics_bootstrap

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def alert(number: int, **more: object) -> Alert:
    fields: dict[str, object] = {
        "alert_id": f"budget-{number}",
        "revision": 0,
        "kind": "budget",
        "state": "firing",
        "severity": "critical",
        "historical": False,
        "scope": AlertScope(team="search"),
        "window": AlertWindow(start=NOON, end=NOON),
        "unit": "nanousd",
        "observed": 1,
        "summary": f"alert number {number}",
        "suggested_action": "look",
        "occurred_at": NOON,
        "evaluated_at": NOON,
    }
    return Alert.model_validate(fields | more)


def status(budget: str, used: int, day: int, **more: object) -> BudgetStatus:
    start, end = datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day + 1, tzinfo=UTC)
    fields: dict[str, object] = {
        "budget_id": budget,
        "rule": "r",
        "scope": AlertScope(team="search"),
        "period": StatusPeriod(kind="day", start=start, end=end, time_zone="Europe/Berlin"),
        "unit": "nanousd",
        "used": used * 1_000_000_000,
        "provisional": 0,
        "limit": 100_000_000_000,
        "used_share": used / 100,
        "calls": 1,
        "state": "ok",
        "mode": "warn",
        "would_stop": False,
        "levels": {},
        "as_of": AsOf(watermark=None, offsets={}),
        "evaluated_at": NOON,
    }
    return BudgetStatus.model_validate(fields | more)


def produce(topic: str, records: Sequence[tuple[str, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": topics_bootstrap()})
    for key, value in records:
        producer.produce(topic, value, key, 0)
    assert producer.flush(20) == 0


def test_alerts_are_shown_by_their_newest_state(run: CliRunner, topics: Topics) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert run.invoke(app, ["alerts"]).stdout == "No alerts.\n"
    alerts = [
        alert(1),
        alert(2, scope=AlertScope(team="support")),
        alert(1, state="resolved", revision=1, summary="it is over"),
        alert(3, historical=True),
    ]
    produce(topics.alerts, [(one.alert_id, one.model_dump_json().encode()) for one in alerts] + [("x", b"{}")])
    shown = run.invoke(app, ["alerts"])
    assert "it is over" in shown.stdout
    assert "alert number 1" not in shown.stdout
    assert "alert number 3" not in shown.stdout, "history is shown only where it is asked for"
    assert "1 more about replayed old time: --history shows them." in shown.stdout
    assert "cannot be read" in shown.stderr
    assert "alert number 3" in run.invoke(app, ["alerts", "--history"]).stdout
    assert "alert number 2" not in run.invoke(app, ["alerts", "--team", "search"]).stdout
    lines = [json.loads(line) for line in run.invoke(app, ["alerts", "--json"]).stdout.splitlines()]
    assert [line["alert_id"] for line in lines] == [one.alert_id for one in alerts]


def test_budgets_are_shown_fullest_first_and_fit_a_terminal(run: CliRunner, topics: Topics) -> None:
    create_topics(KafkaConnection(topics_bootstrap()), topics, 1)
    assert "No budget has a status yet" in run.invoke(app, ["budgets"]).stdout
    statuses = [
        status("calm", 10, 19),
        status("full", 99, 18),
        status("full", 130, 19, state="hard"),
        status("waits", 0, 19, state="unknown", state_reason="its base is not there yet"),
        status("gone", 50, 19),
    ]
    records: list[tuple[str, bytes | None]] = [
        (status_key(one.budget_id, one.period.start), one.model_dump_json().encode()) for one in statuses
    ]
    produce(topics.status, [*records, (records[-1][0], None)])
    told = json.loads(run.invoke(app, ["budgets", "--json"]).stdout)
    assert [(one["budget_id"], one["used_share"]) for one in told] == [("full", 1.3), ("calm", 0.1), ("waits", 0.0)]
    assert len(json.loads(run.invoke(app, ["budgets", "--all", "--json"]).stdout)) == 4
    text = run.invoke(app, ["budgets"]).stdout
    assert "130%" in text
    assert "$130 " in text
    assert "$10.00" in text
    assert "  unknown, because its base is not there yet" in text
    assert max(len(line) for line in text.splitlines()) <= 100

"""Alerts as agents tell them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Producer

from runtime.connection import KafkaConnection
from schemas.alerts import Alert, AlertKind, AlertScope, AlertWindow, Cause, Link, alert_id

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def spike(number: int = 1, revision: int = 0, **more: Any) -> Alert:
    """Revision by revision five minutes later."""
    at = NOON + timedelta(minutes=5 * revision)
    fields: dict[str, object] = {
        "alert_id": alert_id("spike", "search/answers", number),
        "revision": revision,
        "kind": "spike",
        "state": "updated" if revision else "firing",
        "severity": "critical",
        "historical": False,
        "scope": AlertScope(team="search", use_case="answers"),
        "owner": "Ada",
        "contact": "#search",
        "window": AlertWindow(start=NOON, end=at + timedelta(minutes=5)),
        "unit": "nanousd",
        "observed": 14_000_000_000 * (revision + 1),
        "expected": 4_000_000_000 * (revision + 1),
        "summary": f"Team search spends 3.5 times its usual on answers, revision {revision}.",
        "explanation": (
            Cause(factor="calls", label="more calls (x3.5)", delta=9_000_000_000, share=0.9),
            Cause(factor="cache_share", label="fewer cache hits", delta=4_200_000, share=0.004),
        ),
        "unexplained_share": 0.096,
        "carried_by": (
            Cause(factor="nightly", dimension="workflow", label="nightly | v2", delta=8_000_000_000, share=0.8),
            Cause(factor="gpt-4o", dimension="model", label="gpt-4o", delta=10_000_000_000, share=1.0),
        ),
        "uncarried_share": 0.2,
        "behind": "one of 14 users",
        "incident": "runaway_loop",
        "confidence": "high",
        "impact": 10_000_000_000 * (revision + 1),
        "impact_per_day": 890_000_000_000,
        "suggested_action": "Stop the workflow.",
        "links": (Link(rel="query", href="SELECT workflow, sum(cost_usd)\nFROM usage_events GROUP BY workflow"),),
        "occurred_at": NOON,
        "evaluated_at": at + timedelta(seconds=40),
    }
    return Alert.model_validate(fields | more)


def resolved(number: int = 1, revision: int = 1, **more: Any) -> Alert:
    fields: dict[str, Any] = {"state": "resolved", "suggested_action": "None.", "summary": "It is over."}
    return spike(number, revision, **(fields | more))


def of_kind(kind: AlertKind, **more: Any) -> Alert:
    return spike(1, **({"kind": kind, "alert_id": alert_id(kind, "x"), "incident": None} | more))


def tell(connection: KafkaConnection, topic: str, alerts: Iterable[Alert | bytes]) -> None:
    """As agents publish them."""
    producer = Producer(connection.librdkafka())
    for one in alerts:
        key, value = (b"?", one) if isinstance(one, bytes) else (one.alert_id.encode(), one.model_dump_json().encode())
        producer.produce(topic, value, key, 0)
    assert producer.flush(20) == 0

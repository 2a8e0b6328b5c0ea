"""What came of each exception: granted, used and achieved, with answers computed by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas.alerts import Alert, AlertScope, AlertWindow, ExceptionStep
from sinks.database import Database
from sinks.records.record_rows import Record, alert_rows
from tests.sinks.test_views import USD, add_calls, add_outcomes
from tests.support.blocks import us


def march(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def step(revision: int, name: Any, scope: AlertScope, **more: Any) -> Record:
    alert = Alert(
        alert_id="exception-1",
        revision=revision,
        kind="exception",
        state="firing" if revision == 0 else "updated",
        severity="info",
        historical=False,
        scope=scope,
        window=AlertWindow(start=march(10), end=march(12)),
        unit="nanousd",
        observed=0,
        limit=100 * USD,
        budget_id="b",
        exception=ExceptionStep(id="more", step=name, extra=50 * USD, valid_from=march(10), valid_to=march(12), **more),
        summary="s",
        suggested_action="a",
        occurred_at=march(10),
        evaluated_at=march(10),
    )
    return Record(revision, b"k", alert.model_dump_json().encode(), us(2026, 3, 10))


def test_granted_used_and_achieved(database: Database) -> None:
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 8), "team_id": "a", "department": "d", "cost_nanousd": 4 * USD},
            {"occurred_at": us(2026, 3, 10), "team_id": "a", "department": "d", "cost_nanousd": 6 * USD},
            {"occurred_at": us(2026, 3, 11), "team_id": "a", "department": "d", "cost_nanousd": 3 * USD},
            # Outside of the time or the scope.
            {"occurred_at": us(2026, 3, 12), "team_id": "a", "department": "d", "cost_nanousd": 100 * USD},
            {"occurred_at": us(2026, 3, 7, 23), "team_id": "a", "department": "d", "cost_nanousd": 100 * USD},
            {"occurred_at": us(2026, 3, 11), "team_id": "z", "department": "e", "cost_nanousd": 100 * USD},
        ],
    )
    add_outcomes(
        database,
        [
            {"occurred_at": us(2026, 3, 9), "use_case": "x", "succeeded": True, "team_id": "a"},
            {"occurred_at": us(2026, 3, 10), "use_case": "x", "succeeded": True, "team_id": "a"},
            {"occurred_at": us(2026, 3, 11), "use_case": "x", "succeeded": True, "team_id": "a"},
            {"occurred_at": us(2026, 3, 11), "use_case": "x", "succeeded": False, "team_id": "a"},
            {"occurred_at": us(2026, 3, 11), "use_case": "x", "succeeded": True, "team_id": "z"},
        ],
    )
    wanted = (
        "SELECT exception_id, budget_id, granted / 1000000000, used_of_extra / 1000000000, decided_by, last_step, "
        "limit_at_end / 1000000000, outcomes_before, outcomes_during, cost_before_usd, cost_during_usd, "
        "cost_per_outcome_before_usd, cost_per_outcome_during_usd FROM exception_outcomes"
    )
    for scope in (AlertScope(team="a"), AlertScope(department="d")):
        database.command("TRUNCATE TABLE governance_alerts")
        database.insert(
            "governance_alerts",
            alert_rows(
                [
                    step(0, "requested", scope, by="ada"),
                    step(1, "approved", scope, by="grace"),
                    step(2, "in_force", scope),
                    step(3, "expired", scope, used_of_extra=20 * USD),
                ],
                us(2026, 3, 12),
            ).table,
        )
        assert database.query(wanted) == [
            ("more", "b", 50.0, 20.0, "grace", "expired", 100.0, 1, 2, 4, 9, Decimal(4), Decimal("4.5"))
        ]


def test_a_person_is_never_told_apart(database: Database) -> None:
    add_calls(database, [{"occurred_at": us(2026, 3, 10), "team_id": "a", "cost_nanousd": 6 * USD}])
    scope = AlertScope(team="a", one_person=True)
    database.insert("governance_alerts", alert_rows([step(0, "requested", scope)], us(2026, 3, 12)).table)
    wanted = "SELECT cost_during_usd, cost_per_outcome_during_usd, used_of_extra FROM exception_outcomes"
    assert database.query(wanted) == [(Decimal(0), None, None)]

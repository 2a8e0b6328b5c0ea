"""Budgets by every selector, unit and period, against ClickHouse: right totals add up, wrong ones are named, and what
cannot be judged is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from schemas.adjustments import ADJUSTED_EVENTS
from schemas.alerts import AlertScope
from schemas.control.base import moment_us, us_moment
from schemas.control.budgets import Budget, Period, Scope
from schemas.control.periods import running_period
from schemas.status import AsOf, BudgetStatus, StatusPeriod
from sinks.database import Database
from sinks.reconcile.budgets import judge_budgets
from sinks.records.record_rows import ADJUSTMENTS
from tests.support.blocks import NOON_US, default_of, enriched_table

HOUR_US = 3_600_000_000
ROWS = 24
#: One event an hour from noon; each column takes its values in turn.
COLUMNS: dict[str, list[Any]] = {
    "occurred_at": [NOON_US + n * HOUR_US for n in range(ROWS)],
    "department": [("d0", "d1", "d2")[n % 3] for n in range(ROWS)],
    "team_id": [("t0", "t1")[n % 2] for n in range(ROWS)],
    "workflow": [("w0", "w1", None)[n % 3] for n in range(ROWS)],
    "user_hash": [("ada", "bob", None, "eve")[n % 4] for n in range(ROWS)],
    "role": [("dev", None)[n % 2] for n in range(ROWS)],
    "criticality": [("high", "low", "high")[n % 3] for n in range(ROWS)],
    "data_class": [("secret", "public")[n // 12] for n in range(ROWS)],
    "stage": [("production", "exploratory")[n // 6 % 2] for n in range(ROWS)],
    "input_tokens": list(range(ROWS)),
    "output_tokens": [100 + n for n in range(ROWS)],
    "cost_nanousd": [None if n == 5 else 1_000 * n for n in range(ROWS)],
    "provisional_nanousd": [77 if n == 5 else 0 for n in range(ROWS)],
}
#: What a later price added: to the event of hour 5, which nobody had priced.
ADDED = {"cost_nanousd": 5_000, "provisional_nanousd": -77}


def budget(name: str, unit: Any = "usd", period: Period = "month", zone: str = "UTC", **scope: Any) -> Budget:
    return Budget(id=name, scope=Scope(**scope), unit=unit, limit=Decimal(1), period=period, time_zone=zone)


BUDGETS = (
    budget("all"),
    budget("below", department="company", within=("company", "d0", "d2")),
    budget("one", "calls", department="d1"),
    budget("flow", "input_tokens", workflow="w1", team="t0"),
    budget("ada", "usd", "day", "Asia/Kathmandu", user="ada"),
    budget("bob", "tokens", user="bob"),
    budget("role", "output_tokens", "week", role="dev"),
    budget("critical", "usd", "quarter", criticality="high", data_class="secret"),
    budget("hour", "calls", "hour", "Asia/Kolkata", stage="production"),
    Budget(
        id="span",
        scope=Scope(stage="exploratory"),
        limit=Decimal(1),
        period="span",
        starts_at=us_moment(NOON_US + 2 * HOUR_US),
        ends_at=us_moment(NOON_US + 9 * HOUR_US),
    ),
)


def status(one: Budget, cut: int = ROWS, more: int = 0, **changes: Any) -> BudgetStatus:
    """What an agent would say that counted the first `cut` events, and `more` of the unit."""
    period = running_period(one, NOON_US + 4 * HOUR_US)
    used = calls = 0
    for n in range(ROWS):
        event = {name: values[n] for name, values in COLUMNS.items()}
        is_counted = all(event[name] in values for name, values in one.scope.selectors().items())
        if event["occurred_at"] not in period or not is_counted:
            continue
        counts = {
            "calls": 1,
            "input_tokens": event["input_tokens"],
            "output_tokens": event["output_tokens"],
            "tokens": event["input_tokens"] + event["output_tokens"],
            "usd": (event["cost_nanousd"] or 0) + event["provisional_nanousd"],
        }
        if n < cut:
            calls, used = calls + 1, used + counts[one.unit]
        if n == 5 and one.unit == "usd":
            used += sum(ADDED.values())
    scope = one.scope.model_dump(exclude={"user", "within"}) | {"one_person": True if one.scope.is_personal else None}
    given: dict[str, Any] = {
        "budget_id": one.id,
        "rule": one.rule,
        "scope": AlertScope(**scope),
        "period": StatusPeriod(
            kind=one.period, start=us_moment(period.start_us), end=us_moment(period.end_us), time_zone=one.time_zone
        ),
        "unit": "nanousd" if one.unit == "usd" else one.unit,
        "used": used + more,
        "provisional": 0,
        "limit": 1,
        "used_share": 0.0,
        "calls": calls,
        "state": "ok",
        "mode": "warn",
        "would_stop": False,
        "levels": {},
        "as_of": AsOf(watermark=None, offsets={0: cut}),
        "evaluated_at": datetime(2026, 3, 3, tzinfo=UTC),
    }
    return BudgetStatus(**given | changes)


@pytest.fixture(scope="module")
def rows(shared: Database) -> Database:
    for table in ("usage_events_raw", "usage_adjustments"):
        shared.command(f"TRUNCATE TABLE {table}")
    columns: dict[str, Any] = COLUMNS
    events = enriched_table(ROWS, **columns)
    shared.insert("usage_events_raw", events.append_column("log", pa.array(["log"] * ROWS)))
    corrected = events.slice(5, 1).to_pylist()[0] | ADDED
    corrected |= {"log": "log", "booked_at": corrected["occurred_at"], "kind": "reprice", "adjustment_id": "a"}
    corrected |= dict.fromkeys(("made_at", "inserted_at"), corrected["occurred_at"])
    corrected |= dict.fromkeys(("calls", "input_tokens", "output_tokens"), 0)
    arrays = [
        pa.array([corrected[field.name]], field.type) if field.name in corrected else default_of(field, 1)
        for field in ADJUSTMENTS
    ]
    assert set(ADJUSTED_EVENTS.names) <= set(ADJUSTMENTS.names)
    shared.insert("usage_adjustments", pa.Table.from_arrays(arrays, schema=ADJUSTMENTS))
    return shared


def judge(database: Database, statuses: Sequence[BudgetStatus], *documents: Budget) -> tuple[list[str], list[str]]:
    """Kind and budget of each finding, and notes."""
    reached = {0: ROWS}
    [line], notes = judge_budgets(database, "log", statuses, {one.id: one for one in documents}, reached)
    return [f"{one.kind} {one.budget}" for one in line.findings], notes


@pytest.mark.parametrize("cut", [ROWS, 7])
def test_right_totals_add_up(rows: Database, cut: int) -> None:
    assert judge(rows, [status(one, cut) for one in BUDGETS], *BUDGETS) == ([], [])
    assert all(status(one).calls for one in BUDGETS), "each counts something"


def test_wrong_totals_are_named(rows: Database) -> None:
    found, notes = judge(rows, [status(one, more=-1) for one in BUDGETS], *BUDGETS)
    assert {one.split()[1] for one in found} == {one.id for one in BUDGETS}
    assert all(one.startswith("total_low") for one in found)
    assert notes == []


def test_without_its_document_a_budget_is_judged_by_what_its_status_tells(rows: Database) -> None:
    found, notes = judge(rows, [status(one) for one in BUDGETS])
    assert found == []
    assert sorted(note.split()[1] for note in notes) == ["ada", "below", "bob"]
    assert all("its document is no longer" in note for note in notes)
    changed = budget("flow", "input_tokens", workflow="w0", team="t0")
    assert judge(rows, [status(BUDGETS[3])], changed) == ([], [])


def test_what_is_unknown_is_a_note_and_a_span_that_is_over_is_judged(rows: Database) -> None:
    unknown = status(BUDGETS[0], more=3, state="unknown", state_reason="it is being added up")
    found, (note,) = judge(rows, [unknown], *BUDGETS)
    assert (found, note) == (
        [],
        "budget all from 2026-03-01: not judged, its total is not complete: it is being added up",
    )
    over = status(BUDGETS[-1], more=1, state_reason="the span has ended")
    assert judge(rows, [over], *BUDGETS) == (["total_high span from 2026-03-02"], [])
    assert moment_us(over.period.start) == NOON_US + 2 * HOUR_US

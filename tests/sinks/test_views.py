"""The analysts' views, with answers computed by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.outcomes import OUTCOME_COLUMNS
from schemas.usage import TIMESTAMP
from sinks.database import Database
from tests.support.blocks import default_of, enriched_table, us

USD = 1_000_000_000


def add_calls(database: Database, calls: list[dict[str, Any]]) -> None:
    """One event for each dict of columns."""
    for number, call in enumerate(calls):
        table = enriched_table(1, first=number, event_id=f"call-{number}", **call)
        database.insert("usage_events_raw", table.append_column("log", pa.array(["log"])))


def add_outcomes(database: Database, outcomes: list[dict[str, Any]]) -> None:
    for number, outcome in enumerate(outcomes):
        values = {"outcome_id": f"o{number}", "source": "jira", "kind": "ticket_resolved", "team_id": "a", **outcome}
        columns = [
            pa.array([values[field.name]], field.type) if field.name in values else default_of(field, 1)
            for field in OUTCOME_COLUMNS
        ]
        table = pa.Table.from_arrays(columns, schema=OUTCOME_COLUMNS)
        arrived = pa.array([values["occurred_at"] + number], TIMESTAMP)
        database.insert("usage_outcomes", table.append_column("ingested_at", arrived))


def test_the_moving_average_counts_days_without_use_as_zero(database: Database) -> None:
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 1), "cost_nanousd": 7 * USD, "input_tokens": 700},
            {"occurred_at": us(2026, 3, 1), "cost_nanousd": 7 * USD, "output_tokens": 70, "status": "error"},
            {"occurred_at": us(2026, 3, 3), "cost_nanousd": None},
            {"occurred_at": us(2026, 3, 8), "cost_nanousd": 21 * USD},
            {"occurred_at": us(2026, 3, 8), "cost_nanousd": 5 * USD, "team_id": "other"},
        ],
    )
    rows = database.query(
        "SELECT day, calls, errors, tokens, cost_usd, unpriced_calls, cost_usd_7d_avg, calls_7d_avg, tokens_7d_avg "
        "FROM usage_daily_by_team WHERE team_id = 'payments' ORDER BY day"
    )
    assert rows == [
        (date(2026, 3, 1), 2, 1, 770, Decimal(14), 0, 14.0, 2.0, 770.0),
        # Day 3 of the team: (14 + 0 + 0) / 3.
        (date(2026, 3, 3), 1, 0, 0, Decimal(0), 1, 14 / 3, 1.0, 770 / 3),
        # 2 to 8 March: 21 / 7; 1 March is out of the window.
        (date(2026, 3, 8), 1, 0, 0, Decimal(21), 0, 3.0, 2 / 7, 0.0),
    ]
    other = database.query("SELECT cost_usd_7d_avg FROM usage_daily_by_team WHERE team_id = 'other'")
    assert other == [(5.0,)], "a team's own days only"


def test_cohorts_by_first_week(database: Database) -> None:
    """Mondays: 2 March, 9 March, 16 March 2026."""
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 8, 23), "team_id": "a", "cost_nanousd": 2 * USD, "input_tokens": 10},
            {"occurred_at": us(2026, 3, 2, 0), "team_id": "b", "cost_nanousd": 1 * USD, "output_tokens": 5},
            {"occurred_at": us(2026, 3, 16, 0), "team_id": "a", "cost_nanousd": 9 * USD},
            {"occurred_at": us(2026, 3, 10), "team_id": "c", "cost_nanousd": None},
            {"occurred_at": us(2026, 3, 10), "team_id": None, "cost_nanousd": 50 * USD},
        ],
    )
    add_outcomes(
        database,
        [
            {"occurred_at": us(2026, 3, 3), "use_case": "x", "succeeded": True, "team_id": "a"},
            {"occurred_at": us(2026, 3, 17), "use_case": "x", "succeeded": False, "team_id": "a"},
            {"occurred_at": us(2026, 3, 18), "use_case": "x", "succeeded": True, "team_id": "a"},
            {"occurred_at": us(2026, 3, 19), "use_case": "x", "succeeded": True, "team_id": "b"},
            {"occurred_at": us(2026, 3, 19), "use_case": "x", "succeeded": True, "team_id": "without calls"},
        ],
    )
    rows = database.query(
        "SELECT cohort_week, age_weeks, cohort_teams, active_teams, calls, tokens, cost_usd, unpriced_calls, outcomes, "
        "outcomes_succeeded, cost_per_outcome_usd FROM usage_cohorts ORDER BY cohort_week, age_weeks"
    )
    assert rows == [
        (date(2026, 3, 2), 0, 2, 2, 2, 15, Decimal(3), 0, 1, 1, Decimal(3)),
        (date(2026, 3, 2), 2, 2, 1, 1, 0, Decimal(9), 0, 3, 2, Decimal("4.5")),
        (date(2026, 3, 9), 0, 1, 1, 1, 0, Decimal(0), 1, 0, 0, None),
    ]


def test_cost_per_outcome_counts_failures_above_and_successes_below_the_line(database: Database) -> None:
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 2), "use_case": "support", "cost_nanousd": 4 * USD},
            {"occurred_at": us(2026, 3, 3), "use_case": "support", "cost_nanousd": 2 * USD, "status": "error"},
            {"occurred_at": us(2026, 3, 9), "use_case": "support", "cost_nanousd": 8 * USD},
            {"occurred_at": us(2026, 3, 9), "use_case": None, "cost_nanousd": 1 * USD},
        ],
    )
    monday = us(2026, 3, 2)
    add_outcomes(
        database,
        [
            {"occurred_at": monday, "use_case": "support", "succeeded": True, "quality": 4.0, "quality_kind": "csat"},
            {"occurred_at": monday, "use_case": "support", "succeeded": True, "quality": 5.0, "quality_kind": "csat"},
            {"occurred_at": monday, "use_case": "support", "succeeded": True, "quality": 0.5, "quality_kind": "eval"},
            {
                "occurred_at": monday,
                "use_case": "support",
                "succeeded": False,
                "minutes_saved": 3.0,
                "incident": "safety",
            },
            {"occurred_at": us(2026, 3, 9), "use_case": "support", "succeeded": False, "value_nanousd": 3 * USD // 2},
        ],
    )
    rows = database.query(
        "SELECT week, use_case, calls, cost_usd, outcomes_succeeded, outcomes_failed, cost_per_outcome_usd, "
        "calls_per_outcome, success_rate, quality, minutes_saved, value_usd, incidents "
        "FROM cost_per_outcome ORDER BY week, use_case"
    )
    first, second = date(2026, 3, 2), date(2026, 3, 9)
    quality = {"csat": 4.5, "eval": 0.5}
    assert rows == [
        (first, "support", 2, Decimal(6), 3, 1, Decimal(2), 2 / 3, 0.75, quality, 3.0, Decimal(0), 1),
        (second, "support", 1, Decimal(8), 0, 1, None, None, 0.0, {}, 0.0, Decimal("1.5"), 0),
        (second, None, 1, Decimal(1), 0, 0, None, None, None, {}, 0.0, Decimal(0), 0),
    ]


def test_a_corrected_outcome_replaces_the_first(database: Database) -> None:
    monday = us(2026, 3, 2)
    add_outcomes(
        database,
        [
            {"outcome_id": "pr-1", "occurred_at": monday, "use_case": "code", "succeeded": True},
            {"outcome_id": "pr-1", "occurred_at": us(2026, 4, 6), "use_case": "code", "succeeded": False},
        ],
    )
    rows = database.query("SELECT week, outcomes_succeeded, outcomes_failed FROM cost_per_outcome")
    assert rows == [(date(2026, 4, 6), 0, 1)]


def test_showback_keeps_unpriced_use_apart(database: Database) -> None:
    where = {"department": "retail", "cost_center": "cc-1", "team_id": "a", "use_case": "x", "stage": "production"}
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 31, 23), "cost_nanousd": 3 * USD, "reported_cost_nanousd": 4 * USD, **where},
            {"occurred_at": us(2026, 3, 1, 0), "cost_nanousd": None, "provisional_nanousd": USD // 2, **where},
            {"occurred_at": us(2026, 4, 1, 0), "cost_nanousd": 1, "input_tokens": 6, **where},
        ],
    )
    rows = database.query(
        "SELECT month, department, cost_center, calls, tokens, cost_usd, unpriced_calls, provisional_usd, reported_usd "
        "FROM showback_monthly ORDER BY month"
    )
    assert rows == [
        (date(2026, 3, 1), "retail", "cc-1", 2, 0, Decimal(3), 1, Decimal("0.5"), Decimal(4)),
        (date(2026, 4, 1), "retail", "cc-1", 1, 6, Decimal("0.000000001"), 0, Decimal(0), Decimal(0)),
    ]


def test_a_resend_changes_no_view(database: Database) -> None:
    call = {"occurred_at": us(2026, 3, 2), "cost_nanousd": 2 * USD, "use_case": "x"}
    add_calls(database, [call])
    add_calls(database, [{**call, "ingested_at": us(2026, 3, 9)}])
    assert database.query("SELECT sum(cost_usd) FROM usage_daily_by_team") == [(Decimal(2),)]
    assert database.query("SELECT sum(cost_usd) FROM cost_per_outcome") == [(Decimal(2),)]

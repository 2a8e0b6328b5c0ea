"""The analysts' view of policies, with answers computed by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sinks.database import Database
from tests.sinks.test_views import USD, add_calls
from tests.support.blocks import us


def test_verdicts_are_counted_by_day_and_all_calls_with_them(database: Database) -> None:
    broken = {"policy_rule": "no-o3", "policy_verdict": "forbidden", "workflow": "nightly"}
    allowed = {"policy_rule": "no-o3", "policy_verdict": "allowed", "retention_class": "short"}
    add_calls(
        database,
        [
            {"occurred_at": us(2026, 3, 1), "cost_nanousd": 2 * USD, **broken},
            {"occurred_at": us(2026, 3, 1, 23), "cost_nanousd": None, **broken},
            {"occurred_at": us(2026, 3, 2), "cost_nanousd": 3 * USD, **allowed},
            {"occurred_at": us(2026, 3, 2), "cost_nanousd": 4 * USD},
        ],
    )
    rows = database.query(
        "SELECT day, policy_rule, policy_verdict, is_violation, workflow, retention_class, calls, cost_usd, "
        "unpriced_calls FROM policy_daily ORDER BY day, policy_rule NULLS LAST"
    )
    assert rows == [
        (date(2026, 3, 1), "no-o3", "forbidden", True, "nightly", None, 2, Decimal(2), 1),
        (date(2026, 3, 2), "no-o3", "allowed", False, None, "short", 1, Decimal(3), 0),
        (date(2026, 3, 2), None, None, False, None, None, 1, Decimal(4), 0),
    ]
    governed = "SELECT sumIf(calls, policy_verdict IS NOT NULL) / sum(calls) FROM policy_daily"
    assert database.query(governed) == [(0.75,)]

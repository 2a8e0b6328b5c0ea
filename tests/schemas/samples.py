"""In: nothing. Out: one valid document of each kind that people and gateways read, with every field set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from schemas.alerts import Alert, AlertScope, AlertWindow, Cause, Link, alert_id
from schemas.rejections import Rejection, pack_raw
from schemas.status import AsOf, BudgetStatus, Forecast, GovernanceStatus, StatusPeriod

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
END: Final = datetime(2026, 2, 1, tzinfo=UTC)
NOON: Final = datetime(2026, 1, 20, 12, tzinfo=UTC)
SCOPE: Final = AlertScope(
    department="product",
    team="search",
    project="ranking",
    use_case="triage",
    stage="production",
    model_class="frontier",
)

ALERT: Final = Alert(
    alert_id=alert_id("budget", "search-month", "2026-01-01", "hard"),
    revision=0,
    kind="budget",
    state="firing",
    severity="critical",
    historical=False,
    scope=SCOPE,
    owner="Ada",
    contact="#search",
    window=AlertWindow(start=START, end=END),
    unit="nanousd",
    observed=600_000_000_000,
    expected=480_000_000_000,
    limit=500_000_000_000,
    budget_id="search-month",
    level="hard",
    mode="warn",
    summary="Budget search-month has used $600 of $500.",
    explanation=(
        Cause(
            factor="calls",
            label="calls 1,000 to 1,500",
            delta=90_000_000_000,
            share=0.75,
            before=1_000.0,
            after=1_500.0,
        ),
        Cause(factor="cache_share", label="cache share 60 % to 40 %", delta=30_000_000_000, share=0.25),
    ),
    unexplained_share=0.0,
    suggested_action="Ask Ada.",
    links=(Link(rel="runbook", href="https://runbooks.example/budget"),),
    occurred_at=NOON,
    evaluated_at=NOON,
)
STATUS: Final = BudgetStatus(
    budget_id="search-month",
    rule="0123456789abcdef",
    scope=SCOPE,
    owner="Ada",
    contact="#search",
    period=StatusPeriod(kind="month", start=START, end=END, time_zone="UTC"),
    unit="nanousd",
    used=600_000_000_000,
    provisional=1_000_000_000,
    limit=500_000_000_000,
    used_share=1.2,
    calls=1_500,
    state="hard",
    state_reason=None,
    mode="warn",
    would_stop=True,
    levels={"warning": 400_000_000_000, "soft": 500_000_000_000, "hard": 600_000_000_000},
    forecast=Forecast(p10=700, p50=800, p90=900, chance_of_exceeding=1.0, exhausted_on=NOON, method="hour_of_week"),
    exceptions=("launch",),
    as_of=AsOf(watermark=NOON, offsets={0: 1_000, 11: 0}),
    evaluated_at=NOON,
)
GOVERNED: Final = GovernanceStatus(
    period=StatusPeriod(kind="month", start=START, end=END, time_zone="UTC"),
    calls={"all": 1_500, "governed": 1_200},
    cost_nanousd={"all": 600_000_000_000, "governed": 500_000_000_000},
    governed_share=0.8,
    high_risk_workflows=("loan-review",),
    as_of=AsOf(watermark=NOON, offsets={0: 1_000}),
    evaluated_at=NOON,
)
_RAW, _SHA256, _BYTES, _TRUNCATED = pack_raw(b"{}")
REJECTION: Final = Rejection(
    code="missing_field",
    message="event_id is missing",
    topic="usage.events",
    partition=3,
    offset=70,
    index=2,
    appended_at_us=1_767_225_600_000_000,
    source="cli",
    event_id="e1",
    raw=_RAW,
    raw_sha256=_SHA256,
    raw_bytes=_BYTES,
    raw_truncated=_TRUNCATED,
)

"""In: a budget and what was used of it, or all calls of a month. Out: one JSON document on the compacted
`governance.status`: what it stands at.

The message key of a budget's status is `BUDGET_ID|PERIOD_START` (RFC 3339); of one budget the greatest period start is
the running period. A tombstone retires a period. Budgets about one person stand on `governance.status.users` instead.
Under `(governance)|MONTH_START` stands what share of all calls is governed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import AlertScope, AlertUnit

BudgetState = Literal["ok", "warning", "soft", "hard", "unknown"]


class _Contract(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StatusPeriod(_Contract):
    """Event time [start, end) in the budget's own time zone."""

    kind: Literal["hour", "day", "week", "month", "quarter", "span"]
    start: datetime
    end: datetime
    time_zone: str


class Forecast(_Contract):
    """What the period's total will be, in the status's unit, and the chance that it exceeds the limit."""

    p10: int
    p50: int
    p90: int
    chance_of_exceeding: float
    exhausted_on: datetime | None = Field(default=None, description="When the limit is expected to be reached.")
    method: str = Field(
        description="hour_of_week; or insufficient_history, under four weeks: the rate of the period so far stands in."
    )
    weeks: float = Field(default=0.0, description="Weeks of history behind it.")
    evaluated_at: datetime | None = Field(default=None, description="Event time of the evaluation.")


class Acknowledged(_Contract):
    """Whose word lets a budget above its soft limit go on in this period."""

    level: Literal["soft", "hard"]
    by: str
    at: datetime


class AsOf(_Contract):
    """How fresh the figure is: the event-time watermark and, by input partition, the next offset not yet counted."""

    watermark: datetime | None
    offsets: dict[int, int]


class BudgetStatus(_Contract):
    """What one budget stands at in one period. `used` counts unpriced calls at their stated provisional price."""

    schema_version: Literal[1] = 1
    budget_id: str
    rule: str
    scope: AlertScope
    owner: str | None = None
    contact: str | None = None
    period: StatusPeriod
    unit: AlertUnit
    used: int
    provisional: int = Field(description="Part of `used` that is unpriced use at the provisional price.")
    limit: int = Field(description="With the extra amounts of exceptions in force.")
    extra: int = Field(default=0, description="Part of `limit` that exceptions in force have added.")
    plan: int | None = Field(default=None, description="What was expected to be used; the limit where none is given.")
    used_share: float
    calls: int
    state: BudgetState
    state_reason: str | None = Field(default=None, description="Why the state is unknown.")
    mode: Literal["observe", "warn", "enforce"]
    would_stop: bool = Field(description="At or above hard, whatever the mode.")
    levels: dict[Literal["warning", "soft", "hard"], int]
    forecast: Forecast | None = None
    exceptions: tuple[str, ...] = Field(default=(), description="Ids of those in force.")
    acknowledged: Acknowledged | None = None
    as_of: AsOf
    evaluated_at: datetime


class GovernanceStatus(_Contract):
    """What is known and governed of all calls of one UTC month of event time: calls and nano-USD by facet."""

    schema_version: Literal[1] = 1
    kind: Literal["governance"] = "governance"
    period: StatusPeriod
    calls: dict[str, int] = Field(description="By facet: see schemas.tallies.FACETS.")
    cost_nanousd: dict[str, int]
    governed_share: float = Field(description="Of calls.")
    high_risk_workflows: tuple[str, ...] = Field(
        default=(), description="Workflows of critical use cases that act alone, with an approval in force."
    )
    as_of: AsOf
    evaluated_at: datetime


#: Stands where a budget's id stands in the key.
GOVERNANCE: Final = "(governance)"


def status_key(budget_id: str, period_start: datetime) -> str:
    return f"{budget_id}|{period_start.isoformat()}"

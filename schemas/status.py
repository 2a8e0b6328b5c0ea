"""In: a budget and what was used of it. Out: one JSON document on the compacted `governance.status`: what it stands at.

The message key is `BUDGET_ID|PERIOD_START` (RFC 3339); of one budget the greatest period start is the running period. A
tombstone retires a period.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import AlertScope, AlertUnit

BudgetState = Literal["ok", "warning", "soft", "hard", "unknown"]


class _Contract(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class StatusPeriod(_Contract):
    """Event time [start, end) in the budget's own time zone."""

    kind: Literal["day", "month"]
    start: datetime
    end: datetime
    time_zone: str


class Forecast(_Contract):
    """What the period's total will be, in the status's unit, and the chance that it exceeds the limit."""

    p10: int
    p50: int
    p90: int
    chance_of_exceeding: float
    exhausted_on: datetime | None = None
    method: str


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
    limit: int
    used_share: float
    calls: int
    state: BudgetState
    state_reason: str | None = Field(default=None, description="Why the state is unknown.")
    mode: Literal["observe", "warn", "enforce"]
    would_stop: bool = Field(description="At or above hard, whatever the mode.")
    levels: dict[Literal["warning", "soft", "hard"], int]
    forecast: Forecast | None = None
    exceptions: tuple[str, ...] = ()
    as_of: AsOf
    evaluated_at: datetime


def status_key(budget_id: str, period_start: datetime) -> str:
    return f"{budget_id}|{period_start.isoformat()}"

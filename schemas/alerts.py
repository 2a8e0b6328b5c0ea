"""In: a crossing or an episode. Out: one JSON document on `governance.alerts`: what happened, why, whose it is, what
to do.

The message key is `alert_id`, the same for all states of one crossing or episode and the same in every replay.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

AlertKind = Literal[
    "budget",
    "spike",
    "forecast",
    "workflow_regression",
    "value_divergence",
    "policy",
    "exception",
    "ingest_quality",
    "source_silent",
]
AlertState = Literal["firing", "updated", "resolved"]
Severity = Literal["info", "warning", "critical"]
#: What usually lies behind a rise. `volume`: more calls of the usual shape from many; `unknown`: none of these.
Incident = Literal[
    "runaway_loop",
    "retry_storm",
    "prompt_bloat",
    "context_resent",
    "output_growth",
    "model_switch",
    "cache_collapse",
    "price_change",
    "shared_credential",
    "load_test",
    "planned_activity",
    "volume",
    "unknown",
]
#: `low`: learnt for less than a week or from little traffic; `medium`: less than three weeks.
Confidence = Literal["low", "medium", "high"]
#: What people said of an alert.
Said = Literal["acknowledged", "expected", "noise"]
AlertUnit = Literal["nanousd", "tokens", "input_tokens", "output_tokens", "calls"]


class _Contract(BaseModel):
    # A reader of version N must go on when N+1 adds a field.
    model_config = ConfigDict(extra="ignore", frozen=True)


class AlertScope(_Contract):
    """What the alert is about. It never tells who a person is."""

    department: str | None = None
    team: str | None = None
    project: str | None = None
    use_case: str | None = None
    stage: str | None = None
    model_class: str | None = None
    workflow: str | None = None
    role: str | None = None
    criticality: str | None = None
    data_class: str | None = None
    one_person: bool | None = Field(default=None, description="The budget is about one person, who is not named here.")
    source: str | None = Field(default=None, description="Who sends: alerts of kind ingest_quality and source_silent.")


class AlertWindow(_Contract):
    """Event time [start, end): a budget's period or the buckets of an episode."""

    start: datetime
    end: datetime


class Cause(_Contract):
    """One part of the change. In `explanation`, shares of all causes and `unexplained_share` add up to one."""

    factor: str = Field(
        description="calls, errors, input_per_call, output_per_call, cache_share, model_mix, price_per_token, a value."
    )
    dimension: str | None = Field(
        default=None, description="What `factor` is a value of: use_case, workflow, model, …; null: it is a measure."
    )
    label: str = Field(description="The same in words, with before and after.")
    delta: int = Field(description="Its part of the change, in the alert's unit.")
    share: float = Field(description="Its part of the change as a fraction; negative when it worked against it.")
    before: float | None = None
    after: float | None = None


class Link(_Contract):
    """Where to look on: a query to paste, a dashboard, a runbook."""

    rel: Literal["query", "dashboard", "runbook"]
    href: str


class ExceptionStep(_Contract):
    """One step in the life of an exception: alerts of kind exception."""

    id: str
    step: Literal["requested", "approved", "denied", "in_force", "expired", "revoked", "refused"] = Field(
        description="refused: its approver has not the right, or the signature does not hold."
    )
    by: str | None = Field(default=None, description="Who asked or decided: a principal, or rule/ID.")
    note: str | None = None
    extra: int | None = Field(default=None, description="The amount beyond the limit, in the alert's unit.")
    used_of_extra: int | None = Field(default=None, description="What was used beyond the limit, once it is over.")
    valid_from: datetime
    valid_to: datetime


class Alert(_Contract):
    """One state change of one crossing or episode."""

    schema_version: Literal[1] = 1
    alert_id: str
    revision: int = Field(ge=0, description="0 when firing, then one more for each update and for the resolution.")
    kind: AlertKind
    state: AlertState
    severity: Severity
    historical: bool = Field(description="Raised by a replay or backfill of old event time: recorded, never forwarded.")
    scope: AlertScope
    owner: str | None = None
    contact: str | None = None
    window: AlertWindow
    unit: AlertUnit
    observed: int = Field(description="In `unit`: nano-USD, tokens or calls.")
    expected: int | None = None
    limit: int | None = None
    budget_id: str | None = None
    level: Literal["warning", "soft", "hard"] | None = None
    mode: Literal["observe", "warn", "enforce"] | None = None
    exception: ExceptionStep | None = None
    policy_rule: str | None = Field(default=None, description="Alerts of kind policy: which rule.")
    policy_verdict: str | None = None
    summary: str = Field(description="One sentence for people.")
    explanation: tuple[Cause, ...] = ()
    unexplained_share: float | None = None
    carried_by: tuple[Cause, ...] = Field(
        default=(),
        description="Values of dimensions that carry the change, strongest first. Each dimension splits all of it: "
        "shares add up within one dimension only.",
    )
    uncarried_share: float | None = Field(
        default=None, description="Part of the change that the named values of the first dimension do not carry."
    )
    behind: str | None = Field(
        default=None, description="How many people stand behind, such as `one of 14 users`. Never who."
    )
    incident: Incident | None = Field(default=None, description="The usual incident that it looks like.")
    confidence: Confidence | None = Field(default=None, description="How well the usual is known.")
    impact: int | None = Field(default=None, description="Extra cost so far, nano-USD: observed above expected.")
    impact_per_day: int | None = Field(default=None, description="Extra cost of a day if it goes on, nano-USD.")
    activity: str | None = Field(default=None, description="The planned activity that covers it.")
    said: Said | None = Field(default=None, description="What people said of it, once somebody has.")
    suggested_action: str
    links: tuple[Link, ...] = ()
    occurred_at: datetime = Field(description="Event time of the crossing or of the episode's start.")
    evaluated_at: datetime = Field(description="When it was noticed, by the process's clock.")

    @property
    def pages(self) -> bool:
        """Whether somebody should be woken: a critical alert that fires and is not history."""
        return self.state == "firing" and self.severity == "critical" and not self.historical


def alert_id(kind: AlertKind, *parts: str | int) -> str:
    """Deterministic id from what identifies the crossing or episode; equal in every replay."""
    text = "\x1f".join([kind, *(str(part) for part in parts)])
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"

"""In: nothing. Out: one control document of each kind that governs, and alerts and a status of the kinds that came with
them: what version 3 brought to topics.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from schemas.alerts import ExceptionStep, alert_id
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.budgets import Budget, Scope
from schemas.control.decisions import Decision
from schemas.control.departments import Department
from schemas.control.directory import Membership, Sender
from schemas.control.exceptions import ExceptionGrant, ExceptionRule, Permission
from schemas.control.models import CatalogueModel
from schemas.control.policies import Choice, Policy, When
from schemas.control.principals import Principal
from schemas.control.records import ControlRecord
from schemas.control.use_cases import UseCase
from schemas.pseudonym import hash_user
from schemas.status import GOVERNANCE, AsOf, GovernanceStatus, StatusPeriod, status_key
from schemas.tallies import FACETS
from tests.schemas.samples import ALERT, END, NOON, START
from tests.support.enrich import CONFIG

PERSON: Final = hash_user(CONFIG.user_key, "person 1")
_LATER: Final = datetime(2027, 1, 1, tzinfo=UTC)
_APPROVED: Final = Decision(verdict="approved", by="grace", at=START, via="review", note="until the launch")

DOCUMENTS: Final[tuple[ControlRecord, ...]] = (
    Department(id="company"),
    Department(id="dep-0", parent="company", owner="Ada"),
    Sender(sender="user", id=PERSON, terms=(Membership(team="team-1", role="engineer", stage="exploratory"),)),
    UseCase(id="triage", owner="Ada", criticality="high", stage="production", data_class="internal"),
    CatalogueModel(id="claude*", model_class="frontier", approved_for=("internal",)),
    Policy(
        id="no-secrets", when=When(data_class=("internal",)), forbid=Choice(models=("gpt-*",)), owner="Ada", reason="r"
    ),
    Principal(id="grace", rights=("finance",)),
    ExceptionRule(
        id="small", verdict="approve", extra_share_at_most=Decimal("0.1"), days_at_most=7, owner="Ada", reason="small"
    ),
    ExceptionGrant(
        id="launch",
        budget="company",
        extra=Decimal(5),
        justification="launch",
        expected_impact="more tickets",
        requested_by="Ada",
        requested_at=START,
        valid_from=START,
        valid_to=_LATER,
        decision=_APPROVED,
    ),
    ExceptionGrant(
        id="leave",
        permits=Permission(scope=Scope(team="team-2"), models=("gpt-*",)),
        justification="a trial",
        expected_impact="none",
        requested_by="Ada",
        requested_at=START,
        valid_from=START,
        valid_to=_LATER,
        decision=_APPROVED,
    ),
    Acknowledgement(
        id="company",
        period_start=datetime(2026, 3, 1, tzinfo=UTC),
        decision=Decision(verdict="acknowledged", by="grace", at=NOON, via="review"),
    ),
    Budget(
        id="company",
        scope=Scope(department="company", within=("company", "dep-0", "dep-1")),
        limit=Decimal(3),
        plan=Decimal(2),
        period="quarter",
    ),
    Budget(id="person", scope=Scope(user=PERSON), unit="input_tokens", limit=Decimal(9_000), period="hour"),
    Budget(id="role", scope=Scope(role="engineer", criticality="high"), limit=Decimal(1), period="week"),
    Budget(
        id="span",
        scope=Scope(workflow="sorting", data_class="internal"),
        unit="output_tokens",
        limit=Decimal(9_000),
        period="span",
        starts_at=START,
        ends_at=_LATER,
    ),
)

ALERTS: Final = (
    ALERT.model_copy(
        update={
            "alert_id": alert_id("exception", "launch"),
            "kind": "exception",
            "severity": "info",
            "exception": ExceptionStep(
                id="launch", step="approved", by="grace", extra=5_000_000_000, valid_from=START, valid_to=_LATER
            ),
        }
    ),
    ALERT.model_copy(
        update={
            "alert_id": alert_id("policy", "no-secrets"),
            "kind": "policy",
            "policy_rule": "no-secrets",
            "policy_verdict": "forbidden",
        }
    ),
)

STATUS_KEY: Final = status_key(GOVERNANCE, START)
STATUS: Final = GovernanceStatus(
    period=StatusPeriod(kind="month", start=START, end=END, time_zone="UTC"),
    calls=dict.fromkeys(FACETS, 3),
    cost_nanousd=dict.fromkeys(FACETS, 7),
    governed_share=1.0,
    high_risk_workflows=("sorting",),
    as_of=AsOf(watermark=NOON, offsets={0: 1_000}),
    evaluated_at=NOON,
)

"""In: who may go beyond a limit or a policy, why and until when. Out: the record of one exception, and of the rules
that decide some of them at once.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.control.base import Id, Moment, Record, Stage, Text
from schemas.control.budgets import Amount, Scope
from schemas.control.decisions import Decision, Evidence


class Permission(Record):
    """Leave from policies: within the scope, these models and providers may be used. A trailing `*` is a family."""

    scope: Scope
    models: tuple[Text, ...] = ()
    providers: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _permits_something(self) -> Permission:
        if not self.models and not self.providers:
            raise ValueError("a permission names models or providers")
        if self.scope.is_personal:
            raise ValueError("a permission for one person is not given: name their team or role")
        return self


class ExceptionGrant(Record):
    """An extra amount on a budget (in its unit) or a permission, with its evidence, its decision and its end.

    It is in force in [valid_from, valid_to) of event time while its decision is `approved`; without a decision it is a
    request.
    """

    kind: Literal["exception"] = "exception"
    id: Id
    budget: Id | None = None
    extra: Amount | None = Field(default=None, gt=0)
    permits: Permission | None = None
    justification: Text
    expected_impact: Text
    data_class: Id | None = None
    evidence: tuple[Evidence, ...] = ()
    requested_by: Text
    requested_at: Moment
    valid_from: Moment
    valid_to: Moment
    decision: Decision | None = None

    @model_validator(mode="after")
    def _one_matter(self) -> ExceptionGrant:
        if (self.budget is None) == (self.permits is None):
            raise ValueError("an exception is about a budget or about permits: give one of the two")
        if (self.budget is None) != (self.extra is None):
            raise ValueError("budget and extra belong together: extra is the amount beyond the budget's limit")
        if self.valid_to <= self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to.isoformat()} is not after valid_from {self.valid_from.isoformat()}"
            )
        if self.decision is not None and self.decision.verdict == "acknowledged":
            raise ValueError("an exception is approved, denied or revoked; budgets are acknowledged")
        return self

    @property
    def is_approved(self) -> bool:
        return self.decision is not None and self.decision.verdict == "approved"


class ExceptionRule(Record):
    """What is approved or denied at once, by evidence. A request must meet all of it; denying rules are asked first."""

    kind: Literal["exception_rule"] = "exception_rule"
    id: Id
    verdict: Literal["approve", "deny"]
    budgets: tuple[Id, ...] = Field(default=(), description="Empty: every budget.")
    teams: tuple[Id, ...] = ()
    stage: Stage | None = None
    data_classes: tuple[Id, ...] = ()
    permissions: bool = Field(default=False, description="Whether it is about permits; otherwise about extra amounts.")
    extra_share_at_most: Amount | None = Field(default=None, gt=0, description="Of the limit, all in force together.")
    extra_share_above: Amount | None = Field(default=None, ge=0)
    days_at_most: int | None = Field(default=None, gt=0)
    evidence: tuple[Id, ...] = Field(default=(), description="Kinds of evidence that the request must bring.")
    owner: Text
    reason: Text

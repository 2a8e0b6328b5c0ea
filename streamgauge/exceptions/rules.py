"""In: a request and the exception rules in force. Out: the decision of the first rule that it meets, or none.

Denying rules are asked first, each kind in order of id, so that the answer does not depend on who wrote which file
first. A request must meet all that a rule says.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from runtime.rights import RULE, exception_fault, exception_scope
from schemas.control.budgets import Scope
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.snapshot import ControlSnapshot
from streams.enrich.policy.selecting import departments_below


def decide_by_rule(grant: ExceptionGrant, snapshot: ControlSnapshot, now: datetime) -> Decision | None:
    """`via` rule, `by` rule/ID; None when no rule is met and people must decide."""
    rules = sorted(snapshot.exception_rules.values(), key=lambda rule: (rule.verdict != "deny", rule.id))
    for rule in rules:
        if is_met(rule, grant, snapshot):
            return Decision(
                verdict="approved" if rule.verdict == "approve" else "denied",
                by=f"{RULE}{rule.id}",
                at=now.replace(microsecond=0),
                via="rule",
                note=rule.reason,
            )
    return None


def is_met(rule: ExceptionRule, grant: ExceptionGrant, snapshot: ControlSnapshot) -> bool:
    """Whether the request meets all that the rule says."""
    scope = exception_scope(grant, snapshot)
    if scope is None or rule.permissions != (grant.permits is not None):
        return False
    if rule.budgets and grant.budget not in rule.budgets:
        return False
    if rule.teams and not _of_teams(rule, grant, scope, snapshot):
        return False
    if rule.stage is not None and not _of_stage(rule, grant, scope, snapshot):
        return False
    if rule.data_classes and not _of_class(rule, grant, snapshot):
        return False
    # What lies before the request is no part of what it asks for.
    lasts = grant.valid_to - max(grant.valid_from, grant.requested_at)
    if rule.days_at_most is not None and lasts > timedelta(days=rule.days_at_most):
        return False
    if not set(rule.evidence) <= {one.kind for one in grant.evidence}:
        return False
    return _of_size(rule, grant, snapshot)


def _of_teams(rule: ExceptionRule, grant: ExceptionGrant, scope: Scope, snapshot: ControlSnapshot) -> bool:
    """A permission that names no team holds for all, or for those of its department: a denial of one is about it."""
    if scope.team is not None or rule.verdict == "approve" or grant.permits is None:
        return scope.team in rule.teams
    if scope.department is None:
        return True
    below = departments_below(snapshot.departments).get(scope.department, [scope.department])
    return any(
        term.department in below
        for name in rule.teams
        if (team := snapshot.teams.get(name)) is not None
        for term in team.terms
    )


def _of_stage(rule: ExceptionRule, grant: ExceptionGrant, scope: Scope, snapshot: ControlSnapshot) -> bool:
    """A permission that names no stage holds for both, unless its use case has one."""
    if scope.stage is not None or rule.verdict == "approve" or grant.permits is None:
        return scope.stage == rule.stage
    use_case = snapshot.use_cases.get(scope.use_case or "")
    return use_case is None or use_case.stage in (None, rule.stage)


def _of_class(rule: ExceptionRule, grant: ExceptionGrant, snapshot: ControlSnapshot) -> bool:
    """What the request says and what its scope and use case say: a denial needs one of them, an approval all, so that
    leaving the class out gains nothing.
    """
    scope = exception_scope(grant, snapshot)
    use_case = snapshot.use_cases.get(scope.use_case or "") if scope is not None else None
    said = {grant.data_class, scope.data_class if scope else None, use_case.data_class if use_case else None} - {None}
    named = set(rule.data_classes)
    return bool(said & named) if rule.verdict == "deny" else bool(said) and said <= named


def _of_size(rule: ExceptionRule, grant: ExceptionGrant, snapshot: ControlSnapshot) -> bool:
    if rule.extra_share_at_most is None and rule.extra_share_above is None:
        return True
    budget = snapshot.budgets.get(grant.budget or "")
    if budget is None:
        return False
    share = (extra_meanwhile(grant, snapshot) + (grant.extra or Decimal())) / budget.limit
    if rule.extra_share_at_most is not None and share > rule.extra_share_at_most:
        return False
    return rule.extra_share_above is None or share > rule.extra_share_above


def extra_meanwhile(grant: ExceptionGrant, snapshot: ControlSnapshot) -> Decimal:
    """What other approved exceptions of the same budget add at any time of this one's."""
    return sum(
        (
            other.extra or Decimal()
            for other in snapshot.exceptions.values()
            if other.id != grant.id
            and other.budget == grant.budget
            and other.is_approved
            and other.valid_from < grant.valid_to
            and grant.valid_from < other.valid_to
            and exception_fault(other, snapshot) is None
        ),
        Decimal(),
    )

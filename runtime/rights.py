"""In: a decision, what it is about, and the control records in force. Out: whether it counts, or why it does not.

The one judge for everybody who acts on decisions: commands before they publish one, agents before they heed one. It
asks the records alone, never a clock, so that a replay judges as the first run did. Who belonged where is asked for
the moment of the decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import moment_us
from schemas.control.budgets import Level, Scope
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant
from schemas.control.principals import REVIEWERS, Principal
from schemas.control.snapshot import ControlSnapshot

#: Stands before a rule's id where a principal's id stands otherwise.
RULE: Final = "rule/"


def covers(principal: Principal, scope: Scope, snapshot: ControlSnapshot, at_us: int) -> bool:
    """Whether all that the scope selects belongs to the principal's teams and departments; without any, everything."""
    if not principal.teams and not principal.departments:
        return True
    teams = {*([scope.team] if scope.team is not None else []), *_teams_of_person(scope, snapshot, at_us)}
    if teams & set(principal.teams):
        return True
    held = set(principal.departments)
    departments = {scope.department, *(_department_of(team, snapshot, at_us) for team in teams)} - {None}
    return any(above in held for one in departments for above in _upward(str(one), snapshot))


def may_review(principal: Principal, scope: Scope, snapshot: ControlSnapshot, at_us: int) -> bool:
    """Whether they may decide on exceptions of the scope."""
    return any(right in REVIEWERS for right in principal.rights) and covers(principal, scope, snapshot, at_us)


def may_acknowledge(principal: Principal, level: Level, scope: Scope, snapshot: ControlSnapshot, at_us: int) -> bool:
    """Managers may acknowledge a soft limit of their scope; reviewers that and a hard one."""
    if level == "hard":
        return may_review(principal, scope, snapshot, at_us)
    return covers(principal, scope, snapshot, at_us)


def exception_scope(grant: ExceptionGrant, snapshot: ControlSnapshot) -> Scope | None:
    """What the exception is about; None where its budget is not known."""
    if grant.permits is not None:
        return grant.permits.scope
    budget = snapshot.budgets.get(grant.budget or "")
    return None if budget is None else budget.scope


def exception_fault(grant: ExceptionGrant, snapshot: ControlSnapshot) -> str | None:
    """Why the exception's decision does not count; None when it does, or when there is none yet."""
    decision = grant.decision
    if decision is None:
        return None
    if decision.via == "rule":
        return _rule_fault(decision, snapshot)
    scope = exception_scope(grant, snapshot)
    if scope is None:
        return f"budget {grant.budget} is not known"
    principal = snapshot.principals.get(decision.by)
    if principal is None:
        return f"{decision.by} is no principal"
    # Whoever asked may take it back; but nobody grants it to themselves.
    if decision.verdict == "revoked" and decision.by == grant.requested_by:
        return _unproven(principal, decision, grant)
    if not may_review(principal, scope, snapshot, moment_us(decision.at)):
        return _lacking(principal, scope, REVIEWERS)
    if decision.verdict == "approved" and decision.via == "signature":
        asked = snapshot.principals.get(grant.requested_by)
        if decision.by == grant.requested_by or (asked is not None and _is_same_person(principal, asked)):
            return f"{decision.by} asked for it, and nobody approves their own request"
    return _unproven(principal, decision, grant)


def _rule_fault(decision: Decision, snapshot: ControlSnapshot) -> str | None:
    """A rule decides one way alone; whether the request met it was seen when it decided."""
    rule = snapshot.exception_rules.get(decision.by.removeprefix(RULE)) if decision.by.startswith(RULE) else None
    if rule is None:
        return f"{decision.by} is no exception rule that is in force"
    verdict = "approved" if rule.verdict == "approve" else "denied"
    return None if decision.verdict == verdict else f"{decision.by} is a rule by which requests are {verdict}"


def _is_same_person(one: Principal, other: Principal) -> bool:
    """Two principals with one key are one person."""
    if one.public_key is None or other.public_key is None:
        return False
    return one.public_key.split()[:2] == other.public_key.split()[:2]


def acknowledgement_fault(acknowledgement: Acknowledgement, snapshot: ControlSnapshot) -> str | None:
    """Why the acknowledgement does not count; None when it does."""
    decision = acknowledgement.decision
    budget = snapshot.budgets.get(acknowledgement.id)
    if budget is None:
        return f"budget {acknowledgement.id} is not known"
    if decision.verdict != "acknowledged":
        return f"budgets are acknowledged, not {decision.verdict}"
    if decision.via == "rule":
        return "no rule acknowledges a limit: a person does"
    principal = snapshot.principals.get(decision.by)
    if principal is None:
        return f"{decision.by} is no principal"
    if not may_acknowledge(principal, acknowledgement.level, budget.scope, snapshot, moment_us(decision.at)):
        return _lacking(principal, budget.scope, REVIEWERS if acknowledgement.level == "hard" else ("manager",))
    return _unproven(principal, decision, acknowledgement)


def _lacking(principal: Principal, scope: Scope, rights: Iterable[str]) -> str:
    held = ", ".join(principal.rights)
    over = ", ".join(
        [*(f"team {one}" for one in principal.teams), *(f"department {one}" for one in principal.departments)]
    )
    return (
        f"{principal.id} has not the right for {scope.text()}: it needs {' or '.join(rights)}, and theirs is {held} "
        f"for {over or 'the whole platform'}"
    )


def _unproven(principal: Principal, decision: Decision, subject: ExceptionGrant | Acknowledgement) -> str | None:
    """A merged file is proof by itself; a signature must hold."""
    if decision.via == "review":
        return None
    if principal.public_key is None:
        return f"{principal.id} has no public key, so no signature of theirs can be checked"
    from runtime.signatures import holds

    if decision.signature is None or not holds(
        principal.public_key, decision.signature, decision.signed_bytes(subject)
    ):
        return f"the signature is not one of {principal.id}'s key over this record"
    return None


def _teams_of_person(scope: Scope, snapshot: ControlSnapshot, at_us: int) -> set[str]:
    sender = snapshot.senders.get(("user", scope.user)) if scope.user is not None else None
    return {term.team for term in sender.terms if term.from_us <= at_us < term.to_us} if sender is not None else set()


def _department_of(team: str, snapshot: ControlSnapshot, at_us: int) -> str | None:
    known = snapshot.teams.get(team)
    terms = known.terms if known is not None else ()
    return next((term.department for term in terms if term.from_us <= at_us < term.to_us), None)


def _upward(department: str, snapshot: ControlSnapshot) -> list[str]:
    """The department and all above it. A circle of parents, which `apply` refuses, ends it."""
    found = [department]
    while True:
        here = snapshot.departments.get(found[-1])
        if here is None or here.parent is None or here.parent in found:
            return found
        found.append(here.parent)

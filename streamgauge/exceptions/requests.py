"""In: what a person asks for. Out: the request as a record, checked against everything in force; or why not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import ValidationError

from runtime.rights import covers, exception_scope, may_review
from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Scope
from schemas.control.decisions import Evidence
from schemas.control.exceptions import ExceptionGrant, Permission
from schemas.control.principals import Principal
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.departments import below, with_within
from streamgauge.exceptions.problems import Refused, among


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed: an extra amount on a budget, or models and providers within a scope, and how long."""

    justification: str
    expected_impact: str
    budget: str | None = None
    extra: Decimal | None = None
    permits: Permission | None = None
    data_class: str | None = None
    evidence: tuple[Evidence, ...] = ()
    valid_from: datetime | None = None
    until: datetime | None = None
    days: int | None = None
    id: str | None = None


def make_request(
    wish: Wish, requester: Principal, snapshot: ControlSnapshot, now: datetime, event_time: datetime | None = None
) -> ExceptionGrant:
    """The request, not decided yet. Refused when it could never be in order.

    `event_time`: how far the budget has counted. An exception from now on begins there, since agents go by event time:
    beginning later, it would wait for calls that a hard stop does not let through.
    """
    now = now.replace(microsecond=0)
    valid_to = _end(wish, wish.valid_from or now, now)
    valid_from = wish.valid_from or min(now, (event_time or now).replace(microsecond=0))
    if wish.budget is not None:
        _check_budget(wish, snapshot, valid_from)
    if wish.permits is not None:
        _check_scope(wish.permits.scope, snapshot)
    _check_data_class(wish.data_class, snapshot)
    values = {
        "budget": wish.budget,
        "extra": wish.extra,
        "permits": wish.permits,
        "justification": wish.justification,
        "expected_impact": wish.expected_impact,
        "data_class": wish.data_class,
        "evidence": wish.evidence,
        "requested_by": requester.id,
        "requested_at": now,
        "valid_from": valid_from,
        "valid_to": valid_to,
    }
    try:
        grant = ExceptionGrant.model_validate({"id": wish.id or "new", **values})
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(map(str, wrong["loc"]))
        raise Refused(f"{field + ': ' if field else ''}{wrong['msg'].removeprefix('Value error, ')}") from error
    # What is signed names every department that it means, so that none comes to it later.
    filled = with_within(grant, below(snapshot.departments))
    assert isinstance(filled, ExceptionGrant)
    grant = filled
    if wish.id is None:
        grant = grant.model_copy(update={"id": _name(grant)})
    if grant.id in snapshot.exceptions:
        raise Refused(f"exception {grant.id} is there already: `streamgauge exceptions show {grant.id}` has it")
    scope = exception_scope(grant, snapshot)
    if scope is not None and not covers(requester, scope, snapshot, moment_us(now)):
        raise Refused(f"{requester.id} cannot ask for {scope.text()}: that is outside their teams and departments")
    return grant


def who_may_decide(grant: ExceptionGrant, snapshot: ControlSnapshot, now: datetime) -> list[Principal]:
    """Who has the right, but for who asked; those who can sign come first."""
    scope = exception_scope(grant, snapshot) or Scope()
    found = [
        one
        for one in snapshot.principals.values()
        if one.id != grant.requested_by and may_review(one, scope, snapshot, moment_us(now))
    ]
    return sorted(found, key=lambda one: (one.public_key is None, one.id))


def _end(wish: Wish, valid_from: datetime, now: datetime) -> datetime:
    if (wish.until is None) == (wish.days is None):
        raise Refused("an exception ends by itself: say when, with --until or --days, one of the two")
    end = wish.until if wish.until is not None else valid_from + timedelta(days=wish.days or 0)
    if end <= now:
        raise Refused(f"the end {end:%Y-%m-%d %H:%M} UTC is past: give a later --until, or --days")
    return end


def _check_budget(wish: Wish, snapshot: ControlSnapshot, valid_from: datetime) -> None:
    budget = snapshot.budgets.get(wish.budget or "")
    if budget is None:
        raise Refused(among("budget", str(wish.budget), snapshot.budgets))
    if wish.extra is None:
        raise Refused(f"say how much beyond the limit of {budget.limit} {budget.unit}, with --extra")
    if wish.extra <= 0:
        raise Refused(f"--extra {wish.extra} is not more than nothing")
    if not _is_whole(budget, wish.extra):
        raise Refused(f"--extra {wish.extra} is finer than one {_least(budget)}")
    if budget.ends_at is not None and valid_from >= budget.ends_at:
        raise Refused(f"budget {budget.id} ends at {budget.ends_at:%Y-%m-%d %H:%M} UTC: nothing is left to exceed")


def _least(budget: Budget) -> str:
    return "billionth of a dollar" if budget.unit == "usd" else budget.unit.replace("_", " ")[:-1]


def _is_whole(budget: Budget, extra: Decimal) -> bool:
    scaled = extra.scaleb(9) if budget.unit == "usd" else extra
    return scaled == scaled.to_integral_value()


def _check_scope(scope: Scope, snapshot: ControlSnapshot) -> None:
    """Names that nobody defined; where none of a kind is defined at all, any may be meant."""
    departments = {*snapshot.departments} | {
        term.department for team in snapshot.teams.values() for term in team.terms if term.department is not None
    }
    for what, given, known in (
        ("team", scope.team, set(snapshot.teams)),
        ("department", scope.department, departments),
        ("use case", scope.use_case, set(snapshot.use_cases)),
    ):
        if given is not None and known and given not in known:
            raise Refused(among(what, given, known))


def _check_data_class(given: str | None, snapshot: ControlSnapshot) -> None:
    known = {one.data_class for one in snapshot.use_cases.values() if one.data_class is not None}
    known |= {name for policy in snapshot.policies.values() for name in policy.when.data_class}
    if given is not None and known and given not in known:
        raise Refused(among("data class", given, known))


def _name(grant: ExceptionGrant) -> str:
    """Readable, and its own for every request: what it is about, and a hash of all of it."""
    about = grant.budget or (grant.permits.scope.team if grant.permits is not None else None) or "permission"
    digest = hashlib.sha256(grant.model_dump_json(exclude={"id"}).encode()).hexdigest()
    return f"{about[:100]}-{digest[:6]}"

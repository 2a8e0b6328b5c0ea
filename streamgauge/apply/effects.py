"""In: a plan, what is in force, and what each budget stands at today. Out: what the plan would do to those states.

The amount used is the status's own; the levels are those of the document with the extra amounts of exceptions that are
in force at the status's event time, as the agents judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from runtime.rights import exception_fault
from schemas.alerts import AlertUnit
from schemas.control.base import moment_us, us_moment
from schemas.control.budgets import LEVELS, Budget, Level, Unit
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import BudgetPeriod, period_of
from schemas.control.snapshot import ControlSnapshot
from schemas.status import BudgetState, BudgetStatus
from streamgauge.apply.plan import Plan
from streamgauge.cli.output import amount
from streams.agents.exceptions.grants import Grants

_UNITS: Final[dict[Unit, AlertUnit]] = {
    "usd": "nanousd",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "calls": "calls",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a plan does to one budget. `after` None: it cannot be told before it happens."""

    budget_id: str
    before: BudgetState | None
    after: BudgetState | None
    used: int | None
    limit: int | None
    unit: AlertUnit | None
    sentence: str


def effects_of(
    plan: Plan, current: ControlSnapshot, statuses: Mapping[str, BudgetStatus], now_us: int
) -> tuple[Effect, ...]:
    """One for each budget that the plan touches: by its own document or by an exception. `statuses` has the running
    period of each budget id.
    """
    after = plan.applied_to(current)
    touched = [change.key.removeprefix("budget/") for change in plan.changes if change.key.startswith("budget/")]
    records = [record for change in plan.changes for record in (change.before, change.record)]
    touched += [one.budget for one in records if isinstance(one, ExceptionGrant) and one.budget is not None]
    grants = _grants(after)
    return tuple(
        _effect(name, current, after, statuses.get(name), grants, now_us)
        for name in dict.fromkeys(touched)
        if name in after.budgets or name in current.budgets
    )


def state_of(budget: Budget, used: int) -> Level | BudgetState:
    """The highest level that is reached."""
    return next((level for level in reversed(LEVELS) if used >= budget.level_units(level)), "ok")


def _effect(
    name: str,
    current: ControlSnapshot,
    after: ControlSnapshot,
    status: BudgetStatus | None,
    grants: Grants,
    now_us: int,
) -> Effect:
    old, new = current.budgets.get(name), after.budgets.get(name)
    state = None if status is None else status.state

    def told(sentence: str, then: BudgetState | None = None) -> Effect:
        return Effect(name, state, then, None, None, None, sentence)

    if new is None:
        return told("goes, and so does its status; what it has raised is resolved")
    if old is None:
        return told(_beginning(new, now_us), "unknown" if period_of(new, now_us) is not None else None)
    if old.rule != new.rule:
        why = "is counted anew: unknown until ClickHouse has been asked for the whole period"
        return told(why, "unknown")
    if new.scope.is_personal:
        return told("is about one person: what it stands at is not shown here")
    if status is None:
        return told("has no status yet: nothing of it has been counted")
    if status.state == "unknown":
        return told(f"stays unknown: {status.state_reason or 'the reason was not given'}", "unknown")
    used = _used(status, old, new)
    if used is None:
        return told(f"is held against {new.unit.replace('_', ' ')} from now on, which its status does not tell")
    at_us = now_us if status.as_of.watermark is None else moment_us(status.as_of.watermark)
    found = _judged(new, status, grants, used, at_us)
    return replace(found, sentence=found.sentence + _to_come(name, current, after, at_us))


def _judged(new: Budget, status: BudgetStatus, grants: Grants, used: int, at_us: int) -> Effect:
    period = BudgetPeriod(moment_us(status.period.start), moment_us(status.period.end))
    judged = grants.effective(new, period, at_us).budget
    state = state_of(judged, used)
    unit = _UNITS[new.unit]
    limit = judged.limit_units
    moved = limit != status.limit or unit != status.unit
    figures = f"used {amount(used, unit)} of the {'new ' if moved else ''}limit {amount(limit, unit)}"
    verb = f"stays {state}" if state == status.state else f"would go from {status.state} to {state}"
    sentence = f"{verb} ({figures})"
    if state == "hard" and new.mode == "enforce":
        sentence += ", and gateways that ask are told to stop"
    return Effect(new.id, status.state, state, used, limit, unit, sentence)


def _grants(after: ControlSnapshot) -> Grants:
    """The agents' own view of the extra amounts that count."""
    grants = Grants()
    grants.take(one for one in after.exceptions.values() if one.is_approved and exception_fault(one, after) is None)
    return grants


def _to_come(name: str, current: ControlSnapshot, after: ControlSnapshot, at_us: int) -> str:
    """Of exceptions that the plan brings and that begin later."""
    coming = [
        one
        for key, one in after.exceptions.items()
        if one.budget == name
        and one.is_approved
        and moment_us(one.valid_from) > at_us
        and current.exceptions.get(key) != one
    ]
    return "".join(
        f"; {one.extra:f} more from {one.valid_from.date()} until {one.valid_to.date()} by exception {one.id}"
        for one in sorted(coming, key=lambda one: (one.valid_from, one.id))
    )


def _beginning(budget: Budget, now_us: int) -> str:
    if period_of(budget, now_us) is None and budget.starts_at is not None and moment_us(budget.starts_at) > now_us:
        return f"is new: counts from {us_moment(moment_us(budget.starts_at)).isoformat()} on"
    return "is new: counts the whole running period once ClickHouse has been asked, and is unknown until then"


def _used(status: BudgetStatus, old: Budget, new: Budget) -> int | None:
    """What was used, in the unit of the new document; None where the status does not tell."""
    if new.unit == "calls":
        return status.calls
    return status.used if new.unit == old.unit else None

"""In: a step of an exception. Out: the event of it, in sentences for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertWindow, ExceptionStep, alert_id
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant
from streams.agents.budget_texts import UNITS, amount, scope_of, subject
from streams.agents.exceptions.grants import extra_units
from streams.agents.exceptions.steps import OVER, Step

_NEXT: Final[dict[Step, str]] = {
    "requested": "A reviewer (platform, finance or security) decides: `streamgauge exceptions approve {id}` or deny.",
    "approved": "It takes force by itself at its start.",
    "denied": "None. A new request needs what this one lacked.",
    "in_force": "Use the time to bring the use down or to agree on another limit: it ends by itself.",
    "expired": "Compare what was granted, used and achieved: `streamgauge exceptions report`.",
    "revoked": "None.",
    "refused": "Have a principal with the right decide: `streamgauge exceptions show {id}` says what was wrong.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What an event of an exception says besides the record: amounts in the budget's unit."""

    step: Step
    revision: int
    occurred_us: int
    historical: bool
    now_us: int
    note: str | None = None
    observed: int = 0
    limit: int | None = None
    used_of_extra: int | None = None


def exception_id(exception: str) -> str:
    return alert_id("exception", exception)


def exception_alert(record: ExceptionGrant, budget: Budget | None, told: Told) -> Alert:
    """The event of one step. `budget` None: a permission, or a budget that is not there."""
    decision = record.decision
    decided = told.step in ("approved", "denied", "refused") or (told.step == "revoked" and decision is not None)
    by = decision.by if decided and decision is not None else record.requested_by if told.step == "requested" else None
    note = told.note or (decision.note if decided and decision is not None else None)
    extra = extra_units(budget, record.extra) if budget is not None and record.extra is not None else None
    scope = AlertScope()
    if budget is not None:
        scope = scope_of(budget)
    elif record.permits is not None:
        scope = AlertScope(**record.permits.scope.model_dump(exclude={"user", "within"}))
    return Alert(
        alert_id=exception_id(record.id),
        revision=told.revision,
        kind="exception",
        state=_state(told.step, told.revision),
        severity="info",
        historical=told.historical,
        scope=scope,
        owner=None if budget is None else budget.owner,
        contact=None if budget is None else budget.contact,
        window=AlertWindow(start=record.valid_from, end=record.valid_to),
        unit="calls" if budget is None else UNITS[budget.unit],
        observed=told.observed,
        limit=told.limit,
        budget_id=record.budget,
        mode=None if budget is None else budget.mode,
        exception=ExceptionStep(
            id=record.id,
            step=told.step,
            by=by,
            note=note,
            extra=extra,
            used_of_extra=told.used_of_extra,
            valid_from=record.valid_from,
            valid_to=record.valid_to,
        ),
        summary=_summary(record, budget, told, by, note, extra),
        suggested_action=_NEXT[told.step].format(id=record.id),
        occurred_at=to_datetime(told.occurred_us),
        evaluated_at=to_datetime(told.now_us),
    )


def step_us(record: ExceptionGrant, step: Step, now_us: int) -> int:
    """When a step came about: as the record says, or now."""
    if step == "requested":
        return moment_us(record.requested_at)
    if step == "in_force":
        return moment_us(record.valid_from)
    if step == "expired":
        return moment_us(record.valid_to)
    return now_us if record.decision is None else moment_us(record.decision.at)


def _state(step: Step, revision: int) -> AlertState:
    if step in OVER:
        return "resolved"
    return "firing" if step == "requested" or revision == 0 else "updated"


def _summary(
    record: ExceptionGrant, budget: Budget | None, told: Told, by: str | None, note: str | None, extra: int | None
) -> str:
    """One sentence: `Exception black-friday ($500.00 beyond budget search-month of team search until 30 November 2026)
    was approved by ada.`
    """
    until = f"until {record.valid_to:%-d %B %Y %H:%M} UTC"
    if budget is not None and extra is not None:
        what = f"{amount(budget.unit, extra)} beyond budget {budget.id} of {_mid(subject(budget))} {until}"
    elif record.permits is not None:
        chosen = ", ".join((*record.permits.models, *record.permits.providers))
        what = f"leave for {chosen} in {record.permits.scope.text()} {until}"
    else:
        what = f"an extra amount on budget {record.budget} {until}"
    said = {
        "requested": f"was asked for by {record.requested_by}: {record.justification}",
        "approved": f"was approved by {by}",
        "denied": f"was denied by {by}",
        "in_force": "is in force",
        "expired": "has ended",
        "revoked": f"was revoked by {by}" if by is not None else "was withdrawn",
        "refused": "does not count",
    }[told.step]
    if told.step == "expired" and budget is not None and extra is not None and told.used_of_extra is not None:
        said += f": {amount(budget.unit, told.used_of_extra)} of it was used"
    elif note is not None and told.step in ("approved", "denied", "revoked", "refused"):
        said += f": {note}"
    return f"Exception {record.id} ({what}) {said}".rstrip(".") + "."


def _mid(text: str) -> str:
    """As it stands within a sentence."""
    return text[0].lower() + text[1:]

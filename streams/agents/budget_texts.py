"""In: a crossing and what became of it. Out: the alert, in sentences for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertUnit, AlertWindow, Link, Severity, alert_id
from schemas.control.budgets import Budget, Level, Unit
from schemas.control.periods import period_name
from streams.agents.crossings import Crossing
from streams.agents.queries import spending_query

UNITS: Final[dict[Unit, AlertUnit]] = {
    "usd": "nanousd",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "calls": "calls",
}
_SEVERITY: Final[dict[Level, Severity]] = {"warning": "info", "soft": "warning", "hard": "critical"}
_ACTION: Final[dict[Level, str]] = {
    "warning": "Look at what drives the use and whether the period will stay within its limit.",
    "soft": "Find the largest drivers with the linked query; lower them or agree on a new limit.",
    "hard": "Stop or move the use that is not needed now, or agree on a new limit and apply it.",
}
_CHANGED: Final = {
    None: ", with a changed limit or mode",
    "dated": ", reached by {at:%H:%M} UTC of {at:%-d %B} when all events are put in order",
}
_RESOLVED: Final = {
    "end": "The period has ended; the new one starts at zero.",
    "limit": "The limit was raised, so the level no longer holds.",
    "correction": "A correction lowered what was used, so the level no longer holds.",
    "removed": "The budget was removed.",
    "rule": "The budget counts other events from now on; its new total starts at zero.",
}


def amount(unit: Unit, units: int) -> str:
    """`$81.20`, `1,200 tokens`."""
    if unit != "usd":
        return f"{units:,} {unit}"
    dollars = Decimal(units).scaleb(-9)
    return f"${dollars:.4f}" if 0 < abs(dollars) < 1 else f"${dollars:,.2f}"


def scope_of(budget: Budget) -> AlertScope:
    return AlertScope(
        **budget.scope.model_dump(exclude={"user", "within"}), one_person=True if budget.scope.is_personal else None
    )


def subject(budget: Budget) -> str:
    """Whose budget it is: `Team search`, `The platform`."""
    text = budget.scope.text()
    return "The platform" if text == "platform" else text[0].upper() + text[1:]


def budget_alert(crossing: Crossing, state: AlertState, reason: str | None, now_us: int) -> Alert:
    """The alert of one state of a crossing. `reason` says why it is resolved, or `dated` why it is updated."""
    budget, level, start_us = crossing.budget, crossing.key.level, crossing.key.period_start_us
    period = period_name(budget, start_us)
    share = round(100 * crossing.observed / budget.limit_units)
    figures = (
        f"{amount(budget.unit, crossing.observed)} of its {amount(budget.unit, budget.limit_units)} budget "
        f"for {period} ({share}%)"
    )
    if state == "resolved":
        summary = f"{subject(budget)} used {figures}; {level} level resolved: {_RESOLVED[reason or 'end']}"
        action = "None."
    else:
        changed = _CHANGED.get(reason, "") if state == "updated" else ""
        changed = changed.format(at=to_datetime(crossing.occurred_us))
        summary = f"{subject(budget)} has used {figures}: {level} level{changed}."
        action = _ACTION[level]
        if level == "hard":
            action = {
                "observe": "The budget only observes: nothing is stopped. ",
                "warn": "Calls go on: the budget warns but does not stop. ",
                "enforce": "Gateways that read the status stop calls now. ",
            }[budget.mode] + action
    # A budget that only observes wakes nobody.
    severity: Severity = "warning" if level == "hard" and budget.mode == "observe" else _SEVERITY[level]
    return Alert(
        alert_id=alert_id("budget", budget.id, start_us, level),
        revision=crossing.revision,
        kind="budget",
        state=state,
        severity=severity,
        historical=crossing.historical,
        scope=scope_of(budget),
        owner=budget.owner,
        contact=budget.contact,
        window=AlertWindow(start=to_datetime(start_us), end=to_datetime(crossing.period_end_us)),
        unit=UNITS[budget.unit],
        observed=crossing.observed,
        limit=budget.limit_units,
        budget_id=budget.id,
        level=level,
        mode=budget.mode,
        summary=summary,
        suggested_action=action,
        links=(Link(rel="query", href=spending_query(scope_of(budget), start_us, crossing.period_end_us)),),
        occurred_at=to_datetime(crossing.occurred_us),
        evaluated_at=to_datetime(now_us),
    )

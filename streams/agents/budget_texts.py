"""In: a crossing and what became of it. Out: the alert, in sentences for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertUnit, AlertWindow, Link, Severity, alert_id
from schemas.control.budgets import Budget, Level, Mode, Unit
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
#: What follows from a level, by mode: first what happens, or would.
_CONSEQUENCE: Final[dict[Level, dict[Mode, str]]] = {
    "warning": {
        "observe": "The budget only observes: with mode warn its team and owner would be told now.",
        "warn": "Calls go on; team and owner are told.",
        "enforce": "Calls go on; team and owner are told.",
    },
    "soft": {
        "observe": "The budget only observes: with mode enforce a manager would have to acknowledge this now.",
        "warn": "Calls go on; a manager should acknowledge it: `streamgauge budgets ack {budget}`.",
        "enforce": "Calls go on once a manager acknowledges it: `streamgauge budgets ack {budget}`.",
    },
    "hard": {
        "observe": "The budget only observes: nothing is stopped. With mode enforce, gateways would stop calls now.",
        "warn": "Calls go on: the budget warns but does not stop. A reviewer (platform, finance or security) should "
        "decide.",
        "enforce": "Gateways that read the status stop calls now, until a reviewer (platform, finance or security) "
        "approves an exception or the period ends.",
    },
}
#: Then what to do: inspect, optimise, ask for an exception, restrict.
_ACTION: Final[dict[Level, str]] = {
    "warning": "Inspect what drives the use with the linked query (top movers, share of cached input, mix of models), "
    "and whether the period will stay within its limit.",
    "soft": "Optimise the largest drivers that the linked query shows: smaller models, cached prompts, fewer calls. "
    "Where the use is wanted, ask for an exception: {request}.",
    "hard": "Restrict what is not needed now, or ask for an exception: {request}.",
}
_REQUEST: Final = (
    "`streamgauge exceptions request --budget {budget} --extra AMOUNT --until DATE --justification TEXT --impact TEXT`"
)
_CHANGED: Final = {
    None: ", with a changed limit or mode",
    "extra": ", with what exceptions add now",
    "dated": ", reached by {at:%H:%M} UTC of {at:%-d %B} when all events are put in order",
    "acknowledged": ", acknowledged by {by}",
}
_RESOLVED: Final = {
    "end": "The period has ended; the new one starts at zero.",
    "span": "The span has ended.",
    "limit": "The limit was raised, so the level no longer holds.",
    "exception": "An approved exception adds {extra} to the limit for now, so the level no longer holds.",
    "correction": "A correction lowered what was used, so the level no longer holds.",
    "removed": "The budget was removed.",
    "rule": "The budget counts other events from now on; its new total starts at zero.",
}


def amount(unit: Unit, units: int) -> str:
    """`$81.20`, `1,200 tokens`, `1,200 output tokens`."""
    if unit != "usd":
        return f"{units:,} {unit.replace('_', ' ')}"
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


def action(budget: Budget, level: Level) -> str:
    """What the level means and what to do, with the command to type."""
    request = _REQUEST.format(budget=budget.id)
    said = f"{_CONSEQUENCE[level][budget.mode]} {_ACTION[level]}"
    return said.format(budget=budget.id, request=request)


def budget_alert(crossing: Crossing, state: AlertState, reason: str | None, now_us: int) -> Alert:
    """The alert of one state of a crossing. `reason` says why it is resolved, or why it is updated."""
    budget, level, start_us = crossing.budget, crossing.key.level, crossing.key.period_start_us
    period = period_name(budget, start_us)
    share = round(100 * crossing.observed / budget.limit_units)
    extra = amount(budget.unit, crossing.extra)
    figures = (
        f"{amount(budget.unit, crossing.observed)} of its {amount(budget.unit, budget.limit_units)} budget "
        f"for {period} ({f'{extra} of it by exception; ' if crossing.extra else ''}{share}%)"
    )
    if state == "resolved":
        if reason == "end" and budget.period == "span":
            reason = "span"
        resolved = _RESOLVED[reason or "end"].format(extra=extra)
        summary = f"{subject(budget)} used {figures}; {level} level resolved: {resolved}"
        suggested = "None."
    else:
        changed = _CHANGED.get(reason, "") if state == "updated" else ""
        changed = changed.format(at=to_datetime(crossing.occurred_us), by=crossing.acknowledged)
        summary = f"{subject(budget)} has used {figures}: {level} level{changed}."
        suggested = (
            _ACTION[level].format(request=_REQUEST.format(budget=budget.id))
            if crossing.acknowledged is not None
            else action(budget, level)
        )
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
        suggested_action=suggested,
        links=(Link(rel="query", href=spending_query(scope_of(budget), start_us, crossing.period_end_us)),),
        occurred_at=to_datetime(crossing.occurred_us),
        evaluated_at=to_datetime(now_us),
    )

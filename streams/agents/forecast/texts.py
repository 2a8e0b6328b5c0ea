"""In: a forecast worth telling and what became of it. Out: the alert, in sentences for people."""

from __future__ import annotations

from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertState, AlertWindow, Link, Severity, alert_id
from schemas.control.periods import period_name
from streams.agents.budget_texts import UNITS, amount, scope_of, subject
from streams.agents.forecast.warned import ForecastWarning
from streams.agents.queries import spending_query

_RESOLVED: Final = {
    "end": "The period has ended.",
    "calm": "For a day it has looked better.",
    "limit": "The limit or the plan was raised.",
    "removed": "The budget was removed or counts other events.",
}


def forecast_alert_id(budget_id: str, start_us: int, rule: str) -> str:
    return alert_id("forecast", budget_id, start_us, rule)


def forecast_alert(warning: ForecastWarning, state: AlertState, reason: str | None, now_us: int) -> Alert:
    """The alert of one state. `reason` says why it is resolved."""
    budget, key = warning.budget, warning.key
    unit, period = budget.unit, period_name(budget, key.start_us)
    span = f"{amount(unit, warning.p10)} to {amount(unit, warning.p90)}"
    likely = f"{amount(unit, warning.p50)} for {period} ({span} in eight of ten cases)"
    if warning.method == "insufficient_history":
        likely += ", at the rate so far: there are less than four weeks of history"
    if key.rule == "above_plan":
        above = round(100 * (warning.p50 / max(budget.plan_units, 1) - 1))
        what = f"{above}% above its plan of {amount(unit, budget.plan_units)}"
    else:
        what = f"a chance of {round(100 * warning.chance)}% to exceed its limit of {amount(unit, budget.limit_units)}"
    if warning.exhausted_us is not None and state != "resolved":
        what += f"; the limit is reached on about {to_datetime(warning.exhausted_us):%-d %B} (UTC)"
    summary = f"{subject(budget)} is heading for {likely}: {what}."
    action = (
        "Look at what drives the use with the linked query; move or lower what is not needed, or ask for an exception "
        "with the reason before the limit is reached."
    )
    if state == "resolved":
        told = _RESOLVED[reason or "end"]
        summary = f"{subject(budget)} was heading for {likely}. Resolved: {told}"
        action = "None."
    severity: Severity = "info" if budget.mode == "observe" else "warning"
    return Alert(
        alert_id=forecast_alert_id(budget.id, key.start_us, key.rule),
        revision=warning.revision,
        kind="forecast",
        state=state,
        severity=severity,
        historical=warning.historical,
        scope=scope_of(budget),
        owner=budget.owner,
        contact=budget.contact,
        window=AlertWindow(start=to_datetime(key.start_us), end=to_datetime(warning.end_us)),
        unit=UNITS[unit],
        observed=warning.p50,
        expected=budget.plan_units,
        limit=budget.limit_units,
        budget_id=budget.id,
        mode=budget.mode,
        summary=summary,
        suggested_action=action,
        links=(Link(rel="query", href=spending_query(scope_of(budget), key.start_us, warning.end_us)),),
        occurred_at=to_datetime(warning.occurred_us),
        evaluated_at=to_datetime(now_us),
    )

"""In: weeks of a use case whose cost outgrows its outcomes. Out: the alert for its owner: an invitation to look."""

from __future__ import annotations

import math
from typing import Final, Literal

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertWindow, Cause, Link, alert_id
from schemas.control.periods import HOUR_US
from schemas.control.snapshot import ControlSnapshot
from streams.agents.budget_texts import amount
from streams.agents.queries import filled, literal
from streams.agents.reviews.said import under_a_plan
from streams.agents.reviews.trend import Trend

Why = Literal["began", "grown", "back", "usual"]
_ENDED: Final[dict[Why, str]] = {
    "back": "It is over: an outcome costs about what it did. ",
    "usual": "It has stayed so for eight weeks and is taken as the new usual. ",
}
_ACTION: Final = (
    "Look together at what has changed: harder cases, more attempts, dearer calls, or outcomes that are not reported. "
    "The linked query shows the weeks."
)


def divergence_id(use_case: str, trend: Trend) -> str:
    """The same for this use case and the week from which it is counted."""
    return alert_id("value_divergence", use_case, f"{to_datetime(trend.start_hour * HOUR_US):%Y-%m-%d}")


def divergence_alert(
    name: str,
    revision: int,
    state: AlertState,
    why: Why,
    use_case: str,
    trend: Trend,
    control: ControlSnapshot,
    now_us: int,
) -> Alert:
    """One state."""
    start_us, end_us = trend.start_hour * HOUR_US, trend.end_hour * HOUR_US
    document = control.use_cases.get(use_case)
    scope = AlertScope(use_case=use_case)
    causes = _causes(trend)
    alert = Alert(
        alert_id=name,
        revision=revision,
        kind="value_divergence",
        state=state,
        severity="info",
        historical=False,
        scope=scope,
        owner=None if document is None else document.owner,
        contact=None if document is None else document.contact,
        window=AlertWindow(start=to_datetime(start_us), end=to_datetime(end_us)),
        unit="nanousd",
        observed=trend.observed,
        expected=trend.expected,
        summary=_ENDED.get(why, "") + summary(use_case, trend),
        explanation=causes,
        unexplained_share=1.0 - sum(cause.share for cause in causes) if causes else None,
        confidence="medium" if trend.weeks < 6 else "high",
        impact_per_day=(trend.observed - trend.expected) // 30,
        suggested_action="None." if state == "resolved" else _ACTION,
        links=(Link(rel="query", href=_query(use_case, trend)),),
        occurred_at=to_datetime(start_us),
        evaluated_at=to_datetime(now_us),
    )
    return alert.model_copy(update=under_a_plan(scope, start_us, control))


def summary(use_case: str, trend: Trend) -> str:
    """Cost, outcomes and cost per outcome, then and now; every figure is that of a fitted week."""
    failed = _failed(trend)
    return (
        f"Use case {use_case} costs more for each outcome than it did: {_usd(trend.then)} in the week of "
        f"{to_datetime(trend.start_hour * HOUR_US):%-d %B}, {_usd(trend.now)} {trend.weeks - 1} weeks later. "
        f"Cost a week went from {_usd(trend.cost_then)} to {_usd(trend.cost_now)}, outcomes from "
        f"{trend.outcomes_then:,.0f} to {trend.outcomes_now:,.0f}{failed}. Is that what is wanted?"
    )


def _failed(trend: Trend) -> str:
    """Outcomes that were not reached, where their share has moved by five points."""
    shares = [week.failed / (week.failed + week.succeeded) for week in (trend.first, trend.last)]
    if abs(shares[1] - shares[0]) < 0.05:
        return ""
    return f" ({round(100 * shares[0])}% of all were not reached then, {round(100 * shares[1])}% now)"


def _causes(trend: Trend) -> tuple[Cause, ...]:
    """More calls for an outcome, and dearer calls: by logarithms, as cost per outcome is their product."""
    extra = trend.observed - trend.expected
    whole = math.log(trend.now / trend.then)
    if extra == 0 or whole == 0:
        return ()
    calls_then, calls_now = (week.calls / week.succeeded for week in (trend.first, trend.last))
    price_then, price_now = trend.then / calls_then, trend.now / calls_now
    of_calls = round(extra * math.log(calls_now / calls_then) / whole)
    causes = (
        Cause(
            factor="calls_per_outcome",
            label=f"calls per outcome {calls_then:,.1f} to {calls_now:,.1f}",
            delta=of_calls,
            share=of_calls / extra,
            before=calls_then,
            after=calls_now,
        ),
        Cause(
            factor="cost_per_call",
            label=f"cost of 1,000 calls {_usd(1_000 * price_then)} to {_usd(1_000 * price_now)}",
            delta=extra - of_calls,
            share=(extra - of_calls) / extra,
            before=price_then,
            after=price_now,
        ),
    )
    return tuple(sorted(causes, key=lambda cause: (-cause.share, cause.factor)))


def _usd(nano: float) -> str:
    return amount("usd", round(nano))


def _query(use_case: str, trend: Trend) -> str:
    return filled(
        "streams.agents.reviews",
        "use_case.sql",
        use_case=literal(use_case),
        start=f"{to_datetime(trend.start_hour * HOUR_US):%Y-%m-%d}",
        end=f"{to_datetime(trend.end_hour * HOUR_US):%Y-%m-%d}",
    )

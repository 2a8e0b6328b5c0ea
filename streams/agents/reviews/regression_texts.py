"""In: a workflow before and after its shift. Out: the alert for its owner: since when, by what, at what a month."""

from __future__ import annotations

from typing import Final, Literal

from runtime.clock import to_datetime
from schemas.alerts import (
    Alert,
    AlertScope,
    AlertState,
    AlertWindow,
    Cause,
    Confidence,
    Incident,
    Link,
    alert_id,
)
from schemas.control.periods import HOUR_US
from schemas.control.snapshot import ControlSnapshot
from streams.agents.budget_texts import amount
from streams.agents.owners import team_owner
from streams.agents.queries import filled, literal, moment
from streams.agents.reviews.comparison import MONTH_DAYS, Comparison
from streams.agents.reviews.parts import FACTORS, Factor, Part
from streams.agents.reviews.questions import WorkflowHours
from streams.agents.reviews.said import under_a_plan
from streams.agents.reviews.shift import Shape

Why = Literal["began", "grown", "back", "usual"]
#: Versions and templates that an alert names.
_NAMED: Final = 3
#: What the largest part looks like, where it is at least half of the change; and what to do then.
_INCIDENTS: Final[dict[Factor, Incident]] = {
    "input_per_call": "prompt_bloat",
    "cache_share": "cache_collapse",
    "output_per_call": "output_growth",
    "model_mix": "model_switch",
    "price_per_token": "price_change",
    "other": "unknown",
}
_ACTIONS: Final[dict[Incident, str]] = {
    "prompt_bloat": "Look at what the prompt of a call has gained: context, tools, examples. Take out what is not "
    "needed, or roll back.",
    "cache_collapse": "See whether something that changes from call to call stands at the beginning of the prompt now: "
    "what is cached must come first.",
    "output_growth": "See whether answers have to be so long: set a limit, or ask for less.",
    "model_switch": "See whether the dearer model is wanted for all of these calls, or only for the hard ones.",
    "price_change": "Prices or the tier have changed: see whether another model or tier does the same.",
    "unknown": "Compare the calls before and after with the linked query.",
}
_ENDED: Final[dict[Why, str]] = {
    "usual": "It has been so for two weeks and is taken as the new usual. ",
}


def regression_id(found: WorkflowHours, compared: Comparison) -> str:
    """The same for this workflow, day and version."""
    day = f"{to_datetime(compared.since_hour * HOUR_US):%Y-%m-%d}"
    return alert_id(
        "workflow_regression",
        found.workflow.team,
        found.workflow.name,
        day,
        compared.version or compared.template or "",
    )


def regression_alert(
    name: str,
    revision: int,
    state: AlertState,
    why: Why,
    found: WorkflowHours,
    compared: Comparison,
    shape: Shape,
    spike: str | None,
    control: ControlSnapshot,
    now_us: int,
) -> Alert:
    """One state. `spike`: id of an alert that told of its first hours."""
    start_us, end_us = compared.since_hour * HOUR_US, compared.until_hour * HOUR_US
    team = found.workflow.team or None
    scope = AlertScope(team=team, use_case=found.use_case, workflow=found.workflow.name)
    owner, contact = (None, None) if team is None else team_owner(team, start_us, control)
    is_back = why == "back"
    causes = () if is_back else _causes(compared)
    incident = _incident(compared)
    first_carried = [] if is_back else [part for part in compared.versions if part.name][:_NAMED]
    alert = Alert(
        alert_id=name,
        revision=revision,
        kind="workflow_regression",
        state=state,
        severity="warning",
        historical=False,
        scope=scope,
        owner=owner,
        contact=contact,
        window=AlertWindow(start=to_datetime(start_us), end=to_datetime(end_us)),
        unit="nanousd",
        observed=compared.observed,
        expected=compared.expected,
        summary=_over(found, compared) if is_back else _ENDED.get(why, "") + summary(found, compared, shape, spike),
        explanation=causes,
        unexplained_share=1.0 - sum(cause.share for cause in causes) if causes else None,
        carried_by=tuple(
            Cause(
                factor=part.name,
                dimension="workflow_version",
                label=f"version {part.name}, {_thousand(part.after)} per 1,000 calls",
                delta=part.delta,
                share=part.share,
                before=part.before,
                after=part.after,
            )
            for part in first_carried
        ),
        uncarried_share=1.0 - sum(part.share for part in first_carried) if first_carried else None,
        incident=incident,
        confidence=_confidence(compared.known_days),
        impact=max(0, compared.extra_so_far),
        impact_per_day=compared.extra // MONTH_DAYS,
        suggested_action="None." if state == "resolved" else _ACTIONS[incident],
        links=(Link(rel="query", href=_query(found, compared)),),
        occurred_at=to_datetime(start_us),
        evaluated_at=to_datetime(now_us),
    )
    return alert.model_copy(update=under_a_plan(scope, start_us, control))


def summary(found: WorkflowHours, compared: Comparison, shape: Shape, spike: str | None) -> str:
    """Who, since when, before and after, what brought it, what it costs a month."""
    since = f"{to_datetime(compared.since_hour * HOUR_US):%-d %B %H:%M} UTC"
    if compared.version is not None:
        when = f"since version {compared.version} of {since}"
    elif compared.moved is not None:
        moved = compared.moved
        when = (
            f"since {since}, because calls moved to version {moved.version} ({round(100 * moved.before)}% to "
            f"{round(100 * moved.after)}% of them), which costs what it always did"
        )
    elif shape == "drift":
        when = f"after creeping up since {since[:-10]}"
    else:
        when = f"since {since}"
    if compared.template is not None:
        when += f" with prompt template {compared.template}"
    team = f"team {found.workflow.team}" if found.workflow.team else "no known team"
    before, after = _thousand(compared.before.cost_per_call), _thousand(compared.after.cost_per_call)
    first = _ranked(compared)[0]
    told = f" Alert {spike} told of its first hours." if spike is not None else ""
    return (
        f"1,000 calls of workflow {found.workflow.name} of {team} cost {after} {when}, before {before} "
        f"({compared.times:.1f} times): {_label(first, compared)}. At today's {compared.calls_month:,} calls a month "
        f"that is {amount('usd', compared.extra)} a month more.{told}"
    )


def _over(found: WorkflowHours, compared: Comparison) -> str:
    team = f"team {found.workflow.team}" if found.workflow.team else "no known team"
    before, after = _thousand(compared.before.cost_per_call), _thousand(compared.after.cost_per_call)
    return (
        f"It is over: 1,000 calls of workflow {found.workflow.name} of {team} cost {after} again, before the rise of "
        f"{to_datetime(compared.since_hour * HOUR_US):%-d %B} {before}. It has cost "
        f"{amount('usd', max(0, compared.extra_so_far))} more in all."
    )


def _ranked(compared: Comparison) -> list[Part]:
    return sorted(compared.parts, key=lambda part: (-part.delta, FACTORS.index(part.factor)))


def _causes(compared: Comparison) -> tuple[Cause, ...]:
    """Parts of the month's extra in whole nano-USD; what rounding leaves goes to the largest."""
    extra = compared.extra
    change = sum(part.delta for part in compared.parts)
    if extra == 0 or change == 0:
        return ()
    ranked = [part for part in _ranked(compared) if part.delta or part.before != part.after]
    deltas = [round(extra * part.delta / change) for part in ranked]
    largest = max(range(len(deltas)), key=lambda at: abs(deltas[at]))
    deltas[largest] += extra - sum(deltas)
    return tuple(
        Cause(
            factor=part.factor,
            label=_label(part, compared),
            delta=delta,
            share=delta / extra,
            before=part.before,
            after=part.after,
        )
        for part, delta in zip(ranked, deltas, strict=True)
        if delta
    )


def _label(part: Part, compared: Comparison) -> str:
    if part.factor in ("input_per_call", "output_per_call"):
        kind = part.factor.removesuffix("_per_call")
        return f"{kind} tokens per call {part.before:,.0f} to {part.after:,.0f}"
    if part.factor == "cache_share":
        return f"share of input read from cache {round(100 * part.before)}% to {round(100 * part.after)}%"
    if part.factor == "model_mix":
        return (
            f"share of calls to model {compared.gained_model} {round(100 * part.before)}% to {round(100 * part.after)}%"
        )
    if part.factor == "price_per_token":
        return f"price of a million tokens {_million(part.before)} to {_million(part.after)}"
    return f"other billed units of 1,000 calls {_thousand(part.before)} to {_thousand(part.after)}"


def _incident(compared: Comparison) -> Incident:
    first = _ranked(compared)[0]
    change = sum(part.delta for part in compared.parts)
    return _INCIDENTS[first.factor] if first.delta >= change / 2 > 0 else "unknown"


def _confidence(days: int) -> Confidence:
    return "low" if days < 7 else "medium" if days < 21 else "high"


def _thousand(per_call: float) -> str:
    return amount("usd", round(1_000 * per_call))


def _million(per_token: float) -> str:
    return amount("usd", round(1_000_000 * per_token))


def _query(found: WorkflowHours, compared: Comparison) -> str:
    team = found.workflow.team
    return filled(
        "streams.agents.reviews",
        "workflow.sql",
        team=f"team_id = '{literal(team)}'" if team else "team_id IS NULL",
        workflow=literal(found.workflow.name),
        start=moment(max(compared.since_hour - 7 * 24, 0) * HOUR_US),
        end=moment(compared.until_hour * HOUR_US),
    )

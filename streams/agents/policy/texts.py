"""In: an episode and what became of it. Out: the alert for its owner: what a rule finds, or a question."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Final, Literal

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertWindow, Cause, Link, Severity, alert_id
from schemas.control.budgets import Mode
from schemas.control.policies import UNREGISTERED_USE_CASE
from schemas.control.snapshot import ControlSnapshot
from streams.agents.owners import Owner, team_owner
from streams.agents.policy.episode import QUESTION, Episode
from streams.agents.queries import literal

_MINUTE_US: Final = 60_000_000
#: Workflows that an alert names; the rest is left to the query.
_CAUSES: Final = 5

Ended = Literal["quiet", "withdrawn", "registered", "named", "gone"]
ENDED: Final[dict[Ended, str]] = {
    "quiet": "No such call has come for {hours} hours",
    "withdrawn": "Nobody has sent it for {days} days, so nobody needs to answer any more",
    "registered": "A use case of that name is registered now",
    "named": "A document names that data class now",
    "gone": "The rule is no longer in force",
}
#: Verdict -> (what the rule finds of the calls, what to do).
_FINDINGS: Final = {
    "forbidden": (
        "that {rule} forbids",
        "Move these calls to a model that is allowed, or request a permission for a while: it is an exception.",
    ),
    "unapproved": (
        "that {rule} lets pass with an approval alone",
        "Request an exception, and let the calls name it in `approval` once it is approved.",
    ),
    "needs_review": (
        "without human review, where {rule} wants one",
        "Put a person between the answer and what is done with it, or have the workflow listed in the policy.",
    ),
    "missing_fields": (
        "that lack fields which {rule} requires",
        "Let whoever sends these calls fill in the fields that the policy lists.",
    ),
}
#: Of a broken policy in mode `enforce`, and of one in mode `warn`.
_SEVERITY: Final[dict[str, tuple[Severity, Severity]]] = {
    "forbidden": ("critical", "warning"),
    "unapproved": ("critical", "warning"),
    "needs_review": ("warning", "warning"),
    "missing_fields": ("warning", "info"),
}


def policy_alert(
    episode: Episode, state: AlertState, why: Ended | None, patience: int, control: ControlSnapshot, now_us: int
) -> Alert:
    """One state of an episode. `why` it has ended, of a resolution; `patience`: the minutes of quiet that end it."""
    key = episode.key
    start_us, end_us = episode.start * _MINUTE_US, episode.end * _MINUTE_US
    rule = _Rule(key.rule, control)
    ranked = episode.ranked()
    is_question = key.verdict == QUESTION
    single = ranked[0] if len(ranked) == 1 else ("", "", 0)
    scope = AlertScope(
        department=episode.department or None,
        team=episode.team or None,
        use_case=episode.use_case or None,
        workflow=single[0] or None,
        model_class=single[1] or None,
        data_class=key.subject if is_question and key.rule != UNREGISTERED_USE_CASE else None,
    )
    owner, contact = _owner(episode, start_us, rule, control)
    summary, action = _question(episode) if is_question else _finding(episode, ranked, rule)
    if why is not None:
        said = ENDED[why].format(hours=patience // 60, days=patience // 1_440)
        summary, action = f"{said}: {_past(summary)}", "None."
    causes = () if is_question else _causes(ranked, episode.calls)
    return Alert(
        alert_id=alert_id("policy", *key, start_us),
        revision=episode.revision,
        kind="policy",
        state=state,
        severity=_severity(key.verdict, rule.mode),
        historical=episode.historical,
        scope=scope,
        owner=owner,
        contact=contact,
        window=AlertWindow(start=to_datetime(start_us), end=to_datetime(end_us)),
        unit="calls",
        observed=episode.calls,
        mode=rule.mode,
        policy_rule=key.rule,
        policy_verdict=key.verdict,
        summary=summary,
        explanation=causes,
        unexplained_share=1.0 - sum(cause.share for cause in causes) if causes else None,
        suggested_action=action,
        links=(Link(rel="query", href=_query(episode, start_us, end_us)),),
        occurred_at=to_datetime(start_us),
        evaluated_at=to_datetime(now_us),
    )


class _Rule:
    """What the documents say of a rule: its mode, whose it is, its reason, and how people call it."""

    def __init__(self, rule: str, control: ControlSnapshot) -> None:
        policy = control.policies.get(rule)
        self.mode: Mode = "warn" if policy is None else policy.mode
        self.owner: Owner = (None, None) if policy is None else (policy.owner, policy.contact)
        self.reason = None if policy is None else policy.reason
        self.name = f"policy {rule}" if policy is None else f"policy {rule} of {policy.owner}"
        if policy is None and rule.startswith("model/"):
            model = control.models.get(rule.removeprefix("model/"))
            self.name = f"the catalogue entry of model {rule.removeprefix('model/')}"
            if model is not None:
                self.reason = model.note or f"it is approved for data of class {', '.join(model.approved_for)} alone"


def _owner(episode: Episode, at_us: int, rule: _Rule, control: ControlSnapshot) -> Owner:
    """Violations are their team's to mend; questions go to the use case's owner first. Else the policy's owner."""
    use_case = control.use_cases.get(episode.use_case)
    asked: Owner = (None, None)
    if episode.key.verdict == QUESTION and use_case is not None:
        asked = use_case.owner, use_case.contact
    for found in (asked, team_owner(episode.team, at_us, control), rule.owner):
        if found[0] is not None:
            return found
    return None, None


def _finding(episode: Episode, ranked: list[tuple[str, str, int]], rule: _Rule) -> tuple[str, str]:
    found, action = _FINDINGS[episode.key.verdict]
    team = f"Team {episode.team}" if episode.team else "Somebody"
    where = f" for use case {episode.use_case}" if episode.use_case else ""
    workflow, model_class, most = ranked[0] if ranked else ("", "", 0)
    place = ", ".join(
        text
        for text in (
            f"workflow {workflow}" if workflow else "",
            f"models of class {model_class}" if model_class else "",
        )
        if text
    )
    told = f" ({'' if most == episode.calls else 'most in '}{place})" if place else ""
    reason = "" if rule.reason is None else f": {rule.reason.rstrip('.')}"
    calls = "a call" if episode.calls == 1 else f"{episode.calls:,} calls"
    return f"{team} makes {calls}{where}{told} {found.format(rule=rule.name)}{reason}.", action


def _question(episode: Episode) -> tuple[str, str]:
    since = f"{to_datetime(episode.start * _MINUTE_US):%-d %B %H:%M} UTC"
    who = f"team {episode.team}" if episode.team else "somebody"
    workflow = next((f", workflow {name}" for name, _, _ in episode.ranked() if name), "")
    if episode.key.rule == UNREGISTERED_USE_CASE:
        return (
            (
                f"What is use case {episode.key.subject}, and who owns it? No document registers it, and "
                f"{who}{workflow} has used it since {since}."
            ),
            "Register the use case with its owner, or let the calls name the one that they belong to.",
        )
    return (
        (
            f"What may be done with data of class {episode.key.subject}? No use case, policy or model names it, and "
            f"{who}{workflow} has sent it since {since}."
        ),
        "Name the class in a policy or a use case, or let the calls name the one that is meant.",
    )


def _past(summary: str) -> str:
    return summary[0].lower() + summary[1:] if summary.startswith(("Team ", "Somebody ")) else summary


def _causes(ranked: list[tuple[str, str, int]], calls: int) -> tuple[Cause, ...]:
    return tuple(
        Cause(
            factor=workflow or "(no workflow)",
            label=f"{count:,} calls in {f'workflow {workflow}' if workflow else 'no workflow'}"
            + (f" with models of class {model_class}" if model_class else ""),
            delta=count,
            share=count / calls,
        )
        for workflow, model_class, count in ranked[:_CAUSES]
        if calls
    )


def _severity(verdict: str, mode: Mode) -> Severity:
    if mode == "observe" or verdict == QUESTION:
        return "info"
    return _SEVERITY[verdict][0 if mode == "enforce" else 1]


def _query(episode: Episode, start_us: int, end_us: int) -> str:
    key = episode.key
    selected = {"team_id": key.team, "use_case": "" if key.verdict == QUESTION else key.subject}
    if key.verdict == QUESTION:
        selected["use_case" if key.rule == UNREGISTERED_USE_CASE else "data_class"] = key.subject
    text = Template(files("streams.agents.policy").joinpath("violations.sql").read_text(encoding="utf-8")).substitute(
        rule=literal(key.rule),
        verdict=literal(key.verdict),
        conditions="".join(f"\n  AND {name} = '{literal(value)}'" for name, value in selected.items() if value),
        start=f"{to_datetime(start_us):%Y-%m-%d %H:%M:%S}",
        end=f"{to_datetime(end_us):%Y-%m-%d %H:%M:%S}",
    )
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))

"""In: a finding, the control snapshot, what is known of the episode besides. Out: the alert of that state."""

from __future__ import annotations

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertWindow, Cause, Link, alert_id
from schemas.control.snapshot import ControlSnapshot
from streams.agents.owners import Owner, team_owner
from streams.agents.spikes.decomposition import decompose
from streams.agents.spikes.explain.amounts import moment
from streams.agents.spikes.explain.carriers import carriers
from streams.agents.spikes.explain.facts import Facts
from streams.agents.spikes.explain.incidents import action, named
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.explain.measures import measures
from streams.agents.spikes.explain.queries import people_query, rise_query
from streams.agents.spikes.explain.wording import behind, summary
from streams.agents.spikes.finding import Finding

_NOTHING = Known()


def finding_id(finding: Finding) -> str:
    """Id of the alert that tells it: of the series and of the bucket in which it began."""
    return alert_id("spike", finding.series.name, finding.since_us)


def spike_alert(
    finding: Finding, control: ControlSnapshot, now_us: int, known: Known = _NOTHING, runbook: str | None = None
) -> Alert:
    """The alert of one state of an episode. Deterministic in all but `evaluated_at`, which is `now_us`. `runbook`: an
    address in which `{incident}` stands for what it looks like.
    """
    one_id = finding_id(finding)
    before, after = finding.before, finding.after
    parts = decompose(before, after)
    causes = measures(parts, before, after)
    looks = named(finding, parts, known.facts)
    carried, uncarried = carriers(finding)
    if known.facts is not None:
        # Even where nothing is named: what stands behind fewer than five people is left out there, and not here.
        carried, uncarried = _dated(known.facts, finding), known.facts.uncarried_share
    activity = control.activities.get(finding.activity) if finding.activity is not None else None
    state = _state(finding)
    scope = AlertScope(team=finding.series.team, use_case=finding.series.use_case)
    people = None if known.facts is None else known.facts.people
    links = [rise_query(scope, finding.start_us, finding.end_us)]
    if people is not None and people.number > 0:
        links.append(people_query(one_id, scope, finding.start_us, finding.end_us, carried[0] if carried else None))
    if runbook is not None:
        links.append(Link(rel="runbook", href=runbook.replace("{incident}", looks.incident)))
    owner, contact = _owner(finding, control)
    text = summary(finding, looks, causes, carried, activity, known)
    if finding.why == "said" and finding.said is not None:
        text = f"{_SAID[finding.said]} {text}"
    return Alert(
        alert_id=one_id,
        revision=finding.revision,
        kind="spike",
        state=state,
        severity="info" if finding.activity is not None else "critical",
        historical=finding.historical,
        scope=scope,
        owner=owner,
        contact=contact,
        window=AlertWindow(start=to_datetime(finding.start_us), end=to_datetime(finding.end_us)),
        unit="nanousd",
        observed=round(after.cost),
        expected=round(before.cost),
        summary=text,
        explanation=causes,
        unexplained_share=0.0 if causes else None,
        carried_by=carried,
        uncarried_share=uncarried,
        behind=behind(people),
        incident=looks.incident,
        confidence=finding.confidence,
        impact=round(after.cost) - round(before.cost),
        impact_per_day=round(24 * finding.rate),
        activity=finding.activity,
        said=finding.said,
        suggested_action="None." if state == "resolved" else action(looks.incident),
        links=tuple(links),
        occurred_at=to_datetime(finding.start_us),
        evaluated_at=to_datetime(now_us),
    )


_SAID = {
    "acknowledged": "Somebody is on it:",
    "expected": "Expected, as people said; it stays quiet until it is calm:",
    "noise": "Noise, as people said; its level is taken as usual:",
}


def _dated(facts: Facts, finding: Finding) -> tuple[Cause, ...]:
    """What carries it. Single calls were looked into once: where the episode has gone on since, the label says until
    when its amounts are.
    """
    if facts.until_us == finding.end_us:
        return facts.carried
    until = moment(facts.until_us, finding.end_us)
    return tuple(cause.model_copy(update={"label": f"{cause.label} by {until}"}) for cause in facts.carried)


def _state(finding: Finding) -> AlertState:
    match finding.why:
        case "began" | "early":
            return "firing"
        case "grown" | "explained":
            return "updated"
        case "said":
            return "resolved" if finding.said in ("expected", "noise") else "updated"
        case "over" | "adopted" | "merged":
            return "resolved"


def _owner(finding: Finding, control: ControlSnapshot) -> Owner:
    """The team's; the use case's where the directory does not know the team's."""
    owner, contact = team_owner(finding.series.team, finding.since_us, control)
    if owner is None and finding.series.use_case is not None:
        use_case = control.use_cases.get(finding.series.use_case)
        if use_case is not None:
            return use_case.owner, use_case.contact or contact
    return owner, contact

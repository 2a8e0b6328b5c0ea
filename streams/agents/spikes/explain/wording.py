"""In: a finding, its incident, what carries it. Out: the summary: who, how much more, since when, what it is, what
carries it, what it costs.
"""

from __future__ import annotations

from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Cause, Incident
from schemas.control.activities import PlannedActivity
from schemas.control.base import moment_us
from streams.agents.spikes.explain.amounts import moment, money, percent, times
from streams.agents.spikes.explain.carriers import worded
from streams.agents.spikes.explain.facts import PEOPLE_LEAST, Among
from streams.agents.spikes.explain.incidents import Named
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.finding import Finding, Series

#: What it looks like while it goes on, and afterwards.
_LOOKS: Final[dict[Incident, tuple[str, str]]] = {
    "runaway_loop": ("it looks like a runaway loop or an agent left on", "it looked like a runaway loop"),
    "retry_storm": ("it looks like a retry storm", "it looked like a retry storm"),
    "prompt_bloat": ("prompts have grown", "prompts had grown"),
    "context_resent": ("the whole context is sent again with each call", "the whole context was sent with each call"),
    "output_growth": ("answers have grown", "answers had grown"),
    "model_switch": ("a dearer model is used", "a dearer model was used"),
    "cache_collapse": ("prompt caches are no longer hit", "prompt caches were not hit"),
    "price_change": ("the price has changed", "the price had changed"),
    "shared_credential": (
        "it looks like a shared or leaked credential",
        "it looked like a shared or leaked credential",
    ),
    "load_test": ("it looks like a load test", "it looked like a load test"),
    "planned_activity": ("it is planned", "it was planned"),
    "volume": ("there are more calls of the usual shape", "there were more calls of the usual shape"),
    "unknown": ("it is none of the usual incidents", "it was none of the usual incidents"),
}
#: A further dimension's value is named when it carries this part of the rise; so many at most.
_ALSO_SHARE: Final = 0.8
_ALSO: Final = 3
#: So many of all are few enough to be counted; beyond, they are many.
_FEW: Final = 0.25


def subject(series: Series) -> str:
    """`Team search`, `Use case triage of team search`."""
    return f"Team {series.team}" if series.use_case is None else f"Use case {series.use_case} of team {series.team}"


def summary(
    finding: Finding,
    named: Named,
    measures: tuple[Cause, ...],
    carried: tuple[Cause, ...],
    activity: PlannedActivity | None,
    known: Known,
) -> str:
    """One sentence, and a short one on where it comes from."""
    who, since = subject(finding.series), moment(finding.since_us, finding.end_us)
    much = _much(finding)
    extra = money(finding.after.cost - finding.before.cost)
    a_day = money(24 * finding.rate)
    what = _what(named, measures, is_over=finding.why == "over")
    by = _carried(carried, known)
    match finding.why:
        case "over":
            end = moment(finding.end_us, finding.since_us)
            spent = f"from then until {end} it spent {much}, {extra} extra"
            return f"{who}'s rise since {since} is over: {spent}; {what}{by}."
        case "adopted":
            more = f"{a_day} a day more, {much} of before"
            return f"{who}'s rise since {since} has become the new usual: {more}; {what}{by}."
        case "merged":
            return f"{who}'s rise since {since} is part of a wider one of team {finding.series.team}, which is told on."
        case "early":
            text = (
                f"{who} has spent {much} since {since} in a few minutes that are not over yet: {what}{by}; "
                f"{extra} extra so far, {a_day} a day if it goes on."
            )
        case "began" | "explained" | "said":
            text = f"{who} spends {much} since {since}: {what}{by}; {_cost(extra, a_day)}."
        case "grown":
            text = f"{who} still spends {much} since {since}: {what}{by}; {_cost(extra, a_day)}."
    if activity is not None:
        until = f"{to_datetime(moment_us(activity.ends_at)):%d %b %H:%M} UTC"
        return f"{text[:-1]}. Planned until {until}: {activity.what}."
    if finding.why == "said" and finding.said != "acknowledged" and known.calls == "asked":
        # It is over: nobody will tell what is found.
        return text
    return f"{text}{_source(known)}"


def behind(facts_people: Among | None) -> str | None:
    """How many people stand behind, never who. None: not known."""
    if facts_people is None:
        return None
    people = facts_people
    if people.number == 0:
        return "no person: calls of services"
    if people.number < PEOPLE_LEAST:
        return f"fewer than {PEOPLE_LEAST} users"
    if people.carriers == 1:
        return f"one of {people.number:,} users"
    if 0 < people.carriers <= people.number * _FEW:
        return f"{people.carriers:,} of {people.number:,} users"
    return f"many of {people.number:,} users"


def _much(finding: Finding) -> str:
    before, after = finding.before.cost, finding.after.cost
    if before <= 0 or after >= 1000 * before:
        return f"{money(after)} where hardly anything is usual"
    return f"{times(after / before)} its usual"


def _cost(extra: str, a_day: str) -> str:
    return f"{extra} extra so far, {a_day} a day if it goes on"


def _what(named: Named, measures: tuple[Cause, ...], *, is_over: bool) -> str:
    """The incident and, in brackets, its strongest measure and what else it was told by."""
    looks = _LOOKS[named.incident][is_over]
    told = "; ".join([*(cause.label for cause in measures[:1]), *([named.why] if named.why else [])])
    return f"{looks} ({told})" if told else looks


def _carried(carried: tuple[Cause, ...], known: Known) -> str:
    """`, 92% of it in use case triage, workflow nightly, one of 14 users`."""
    facts = known.facts
    told: list[str] = []
    if facts is not None and facts.spread:
        told.append("spread as its use usually is")
    elif carried:
        told.append(f"{percent(min(carried[0].share, 1.0))} of it in {_value(carried[0])}")
        told += [_value(cause) for cause in _also(carried)]
    people = behind(facts.people) if facts is not None else None
    return "".join(f", {one}" for one in [*told, *([people] if people else [])])


def _also(carried: tuple[Cause, ...]) -> list[Cause]:
    """The first value of each further dimension, where it carries nearly all."""
    firsts = {cause.dimension: cause for cause in reversed(carried) if cause.dimension != carried[0].dimension}
    ordered = sorted(firsts.values(), key=carried.index)
    return [cause for cause in ordered if cause.share >= _ALSO_SHARE and cause.factor][:_ALSO]


def _value(cause: Cause) -> str:
    return worded(cause.dimension or "", cause.factor)


def _source(known: Known) -> str:
    match known.calls:
        case "asked" if known.facts is not None:
            return " Single calls are looked into once more when the five minutes are over."
        case "asked":
            return " Single calls are being looked into."
        case "away" if known.facts is not None:
            return " ClickHouse has been away or behind since: what single calls tell is of the first minutes."
        case "away":
            return " ClickHouse was away or behind: this is from the stream's sums alone."
        case _:
            return ""

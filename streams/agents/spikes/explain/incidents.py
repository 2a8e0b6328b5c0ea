"""In: a finding, its decomposition, and what single calls told. Out: the usual incident that it looks like, and why.

The rules stand here in the order in which they are asked; the first that holds names the incident. Those that need
single calls are passed over until ClickHouse has answered; what remains is told from the stream's own sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.alerts import Incident
from streams.agents.spikes.decomposition import Part, error_share
from streams.agents.spikes.explain.amounts import percent
from streams.agents.spikes.explain.facts import PEOPLE_LEAST, Facts
from streams.agents.spikes.finding import Finding

#: Failing carries this part of the rise; or this share of calls fails, and so much more than usual.
_FAILING: Final = 0.3
_FAIL_SHARE, _FAIL_MORE = 0.25, 0.15
#: Calls that repeat another, as a share of all, and above the usual.
_RETRIES, _MORE_RETRIES = 0.3, 0.2
#: A credential that carries this part of the rise, and whose new sources cost this part of it. Its old ones go on with
#: this part of the usual: where they are gone, a service has only been given other names.
_KEY, _KEY_NEW, _KEY_KEPT = 0.5, 0.5, 0.5
#: Cost in sessions whose input grows from call to call, and above the usual.
_GROWING, _MORE_GROWING = 0.4, 0.25
#: One session or person carries this part of the rise: a machine runs in it.
_ONE: Final = 0.5
#: The commonest prompt's share of calls, and above the usual.
_SAME, _MORE_SAME = 0.3, 0.2
#: Cost of exploratory calls, and above the usual; or calls per different prompt.
_EXPLORATORY, _MORE_EXPLORATORY = 0.6, 0.3
_CALLS_PER_PROMPT: Final = 20.0
#: People do not make so many times their usual calls from one bucket to the next, machines do.
_MACHINE: Final = 4.0
#: One use case carries this part of it.
_ALONE: Final = 0.7

_ACTIONS: Final[dict[Incident, str]] = {
    "runaway_loop": "Stop the agent or job that loops: the linked query ranks what calls most; give it a limit of "
    "steps and of cost before it starts again.",
    "retry_storm": "See why calls fail, then lower retries: back off with jitter, and stop after a few attempts.",
    "prompt_bloat": "Compare the prompt template and what is attached to it with yesterday's; roll the last deploy "
    "back if it came with it.",
    "context_resent": "Cut the history that is sent with each call: summarise it, keep a window, and let the unchanged "
    "beginning be cached.",
    "output_growth": "See what asks for longer answers: a changed instruction, reasoning effort or a missing output "
    "limit.",
    "model_switch": "See who moved to the dearer model, and whether the task needs it; route the rest back.",
    "cache_collapse": "See what changed at the start of the prompts: a new prefix, another order or a timestamp stops "
    "cache hits.",
    "price_change": "Compare service tier, region and price list with yesterday's: the same tokens cost more.",
    "shared_credential": "Rotate the credential now if the new sources are not yours, then see what was asked with it.",
    "load_test": "Ask whoever tests to use a cheap model or recorded answers, and to announce it beforehand as a "
    "planned activity.",
    "planned_activity": "None: it is planned. Its owner is named in the activity.",
    "volume": "See whether the demand is real: a launch, a batch, a backlog. If it stays, raise the budget or lower "
    "the cost per call.",
    "unknown": "Look at the linked query: no usual incident explains it.",
}


@dataclass(frozen=True, slots=True)
class Named:
    """`why`: by what it is told, beyond the strongest measure, as half a sentence for people; or nothing."""

    incident: Incident
    why: str = ""


def named(finding: Finding, parts: tuple[Part, ...], facts: Facts | None) -> Named:
    """What it looks like. `parts` are those of `decompose`."""
    if finding.activity is not None:
        return Named("planned_activity")
    lead = parts[0] if parts and parts[0].delta > 0 else None
    if lead is None:
        return Named("unknown")
    if (storm := _storm(finding, parts, lead, facts)) is not None:
        return storm
    match lead.factor:
        case "cache_share":
            return Named("cache_collapse")
        case "model_mix":
            return Named("model_switch")
        case "price_per_token":
            return Named("price_change")
        case "output_per_call":
            return Named("output_growth")
        case "input_per_call":
            if facts is not None and facts.growing.rose(_GROWING, _MORE_GROWING):
                share = percent(facts.growing.now)
                return Named("context_resent", f"{share} of the cost lies in sessions whose input grows call by call")
            return Named("prompt_bloat")
        case "calls" | "errors":
            return _more_calls(finding, facts)


def action(incident: Incident) -> str:
    """What to do about it, for people."""
    return _ACTIONS[incident]


def _storm(finding: Finding, parts: tuple[Part, ...], lead: Part, facts: Facts | None) -> Named | None:
    """Calls that fail are tried again."""
    failing = sum(part.share for part in parts if part.factor == "errors")
    was, now = error_share(finding.before), error_share(finding.after)
    often = now >= _FAIL_SHARE and now >= was + _FAIL_MORE and lead.factor in ("calls", "errors")
    if failing >= _FAILING or often:
        # Where failing is the strongest measure, that says it already.
        return Named(
            "retry_storm", "" if lead.factor == "errors" else f"{percent(now)} of calls fail, usually {percent(was)}"
        )
    if lead.factor == "calls" and facts is not None and facts.retries.rose(_RETRIES, _MORE_RETRIES):
        return Named("retry_storm", f"{percent(facts.retries.now)} of calls repeat one that did not succeed")
    return None


def _more_calls(finding: Finding, facts: Facts | None) -> Named:
    if facts is None:
        return _more_calls_by_sums(finding)
    key = facts.key
    if (
        key is not None
        and key.known
        and key.share >= _KEY
        and key.new_share >= _KEY_NEW
        and key.kept >= _KEY_KEPT
        and key.new_sources > 0
        and (key.new_sources > 1 or key.new_clients > 0)
    ):
        from_new = "a source" if key.new_sources == 1 else f"{key.new_sources} sources"
        return Named("shared_credential", f"one credential is used from {from_new} not seen with it before")
    if facts.same_prompt is not None and facts.same_prompt.rose(_SAME, _MORE_SAME):
        return Named("runaway_loop", f"the same prompt was sent {facts.same_prompt_calls:,} times")
    if facts.sessions is not None and facts.sessions.first_share >= _ONE:
        share = percent(min(1.0, facts.sessions.first_share))
        return Named("runaway_loop", f"one session of {facts.sessions.number:,} carries {share} of it")
    if facts.exploratory.rose(_EXPLORATORY, _MORE_EXPLORATORY):
        return Named("load_test", f"{percent(facts.exploratory.now)} of it is exploratory")
    if facts.calls_per_prompt is not None and facts.calls_per_prompt >= _CALLS_PER_PROMPT:
        return Named("load_test", f"few prompts are sent {facts.calls_per_prompt:,.0f} times each, in many sessions")
    if facts.people is not None and facts.people.first_share >= _ONE:
        few = facts.people.number < PEOPLE_LEAST
        return Named("runaway_loop", "few carry it" if few else "one person carries most of it, in many sessions")
    return Named("volume")


def _more_calls_by_sums(finding: Finding) -> Named:
    before, after = finding.before.calls, finding.after.calls
    rise = finding.after.cost - finding.before.cost
    most = max((now.cost - was.cost for was, now in finding.parts.values()), default=rise)
    if after >= _MACHINE * before and most >= _ALONE * rise:
        return Named("runaway_loop")
    return Named("volume")

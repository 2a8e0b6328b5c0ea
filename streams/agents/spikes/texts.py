"""In: an episode and its decomposition. Out: the alert, with the cause in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertScope, AlertState, AlertWindow, Cause, Link, alert_id
from schemas.control.snapshot import ControlSnapshot
from streams.agents.owners import team_owner
from streams.agents.queries import spending_query
from streams.agents.spikes.baseline import CLASSES
from streams.agents.spikes.buckets import BUCKET_US
from streams.agents.spikes.decomposition import Factor, Part, dearer_class, decompose
from streams.agents.spikes.episode import Episode

_ACTIONS: Final[dict[Factor, str]] = {
    "calls": "Look for a loop or retries: the linked query ranks what calls most; throttle it or roll a deploy back.",
    "tokens_per_call": "Look for growing context: compare prompt templates and attached documents with yesterday's.",
    "price_per_token": "Compare models and service tiers with yesterday's: the same tokens cost more.",
    "cache_share": "See what changed at the start of the prompts: a new prefix, order or timestamp stops cache hits.",
    "model_mix": "See which use case moved to the dearer model and whether its task needs it.",
}


def spike_alert(
    episode: Episode, state: AlertState, adopted: bool, classes: Sequence[str], control: ControlSnapshot, now_us: int
) -> Alert:
    """The alert of one state of an episode. `adopted`: it ended because it became the usual."""
    before, after = episode.before(), episode.after()
    parts = decompose(before, after)
    moved = dearer_class(before.mix, after.mix)
    class_name = "other" if moved == CLASSES - 1 or moved >= len(classes) else classes[moved] or "without class"
    causes = tuple(
        Cause(
            factor=part.factor,
            label=_label(part, class_name),
            delta=part.delta,
            share=part.share,
            before=part.before,
            after=part.after,
        )
        for part in parts
    )
    start_us, end_us = episode.start * BUCKET_US, episode.end * BUCKET_US
    owner, contact = team_owner(episode.team, start_us, control)
    since = f"{to_datetime(start_us):%H:%M} UTC"
    times = f"{after.cost / before.cost:.1f}x" if before.cost > 0 else "far more than"
    name = f"Team {episode.team}"
    if state == "resolved":
        how = "has been taken as its new usual rate" if adopted else f"ended at {to_datetime(end_us):%H:%M} UTC"
        summary = f"{name}'s rise since {since} ({times} its usual rate, ${episode.impact / 1e9:,.2f} extra) {how}."
    else:
        summary = f"{name} spends {times} its usual rate since {since}" + (f": {causes[0].label}." if causes else ".")
    scope = AlertScope(team=episode.team)
    return Alert(
        alert_id=alert_id("spike", episode.team, start_us),
        revision=episode.revision,
        kind="spike",
        state=state,
        severity="critical",
        historical=episode.historical,
        scope=scope,
        owner=owner,
        contact=contact,
        window=AlertWindow(start=to_datetime(start_us), end=to_datetime(end_us)),
        unit="nanousd",
        observed=round(after.cost),
        expected=round(before.cost),
        summary=summary,
        explanation=causes,
        unexplained_share=0.0 if causes else None,
        suggested_action=_ACTIONS[parts[0].factor] if parts and state != "resolved" else "None.",
        links=(Link(rel="query", href=spending_query(scope, start_us, end_us)),),
        occurred_at=to_datetime(start_us),
        evaluated_at=to_datetime(now_us),
    )


def _label(part: Part, class_name: str) -> str:
    """One factor with before and after, for people."""
    ratio = f" (x{part.after / part.before:.1f})" if part.before > 0 else ""
    up = part.after >= part.before
    match part.factor:
        case "calls":
            return f"{'more' if up else 'fewer'} calls{ratio}"
        case "tokens_per_call":
            return f"{'more' if up else 'fewer'} tokens per call{ratio}, from {part.before:,.0f} to {part.after:,.0f}"
        case "price_per_token":
            return f"a {'higher' if up else 'lower'} price per token{ratio}"
        case "cache_share":
            verb = "fell" if not up else "rose"
            return f"the share of input read from prompt caches {verb} from {part.before:.0%} to {part.after:.0%}"
        case "model_mix":
            return f"other models: class {class_name} went from {part.before:.0%} to {part.after:.0%} of tokens"

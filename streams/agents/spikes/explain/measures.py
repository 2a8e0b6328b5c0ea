"""In: a decomposition. Out: each factor as a cause, in words with before and after."""

from __future__ import annotations

from schemas.alerts import Cause
from streams.agents.spikes.decomposition import Part, dearer_class
from streams.agents.spikes.explain.amounts import percent, times, tokens
from streams.agents.spikes.finding import Usage


def measures(parts: tuple[Part, ...], before: Usage, after: Usage) -> tuple[Cause, ...]:
    """The same order; shares add up to one."""
    moved = dearer_class(before, after) or "without a class"
    return tuple(
        Cause(
            factor=part.factor,
            label=_label(part, moved),
            delta=part.delta,
            share=part.share,
            before=part.before,
            after=part.after,
        )
        for part in parts
    )


def _label(part: Part, moved: str) -> str:
    was, now = part.before, part.after
    match part.factor:
        case "calls":
            return f"{_times(was, now)} as many calls as usual" if was > 0 else f"{now:,.0f} calls where none are usual"
        case "errors":
            return f"{percent(now)} of calls fail, {percent(was)} usually"
        case "input_per_call":
            return f"input per call went from {tokens(was)} to {tokens(now)} tokens"
        case "output_per_call":
            return f"output per call went from {tokens(was)} to {tokens(now)} tokens"
        case "cache_share":
            verb = "rose" if now > was else "fell"
            return f"the share of input read from prompt caches {verb} from {percent(was)} to {percent(now)}"
        case "model_mix":
            return f"models of class {moved} went from {percent(was)} to {percent(now)} of tokens"
        case "price_per_token":
            return f"the price of like tokens is {_times(was, now)} the usual" if was > 0 else "there is a price now"


def _times(was: float, now: float) -> str:
    return times(now / was)

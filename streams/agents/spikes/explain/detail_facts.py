"""In: a question on a spike and the answer. Out: its facts: who carries how much of what is above the usual.

What is usual for a value is the expected cost times its share of the span before (Adtributor; Bhagwan et al., NSDI
2014), so the parts of a dimension add up to the rise. Dimensions are ranked by surprise, the Jensen-Shannon divergence
of the two mixes in the named values; of two alike, the one that people know better comes first.
"""

from __future__ import annotations

import math
from typing import Final

from schemas.alerts import Cause
from streams.agents.investigation.detail import Carrier, Concentration, KeyUse, SpikeDetail, SpikeQuestion, Sums
from streams.agents.spikes.explain.carriers import ranked
from streams.agents.spikes.explain.facts import Among, Facts, Key, Pair

_DIMENSIONS: Final[tuple[Carrier, ...]] = (
    "use_case",
    "workflow",
    "workflow_version",
    "prompt_template",
    "application",
    "model",
    "client",
    "credential",
)
#: Below this, two mixes are the same but for noise; then a dimension says nothing that the first one does not.
_LEAST_SURPRISE: Final = 0.02
#: A value that carries this part of it is named even so.
_MOST: Final = 0.6
#: Dimensions that are told at most.
_TOLD: Final = 5


def facts_of(question: SpikeQuestion, detail: SpikeDetail) -> Facts:
    """What is told and decided by. Without any rise in what ClickHouse holds nothing is split."""
    now, before = detail.now, detail.before or Sums(0, 0, 0, 0, 0, 0, 0, 0, 0)
    rise = now.cost - question.expected
    scale = question.expected / before.cost if before.cost > 0 else 0.0
    surprise, dimensions = _dimensions(question, detail, rise, scale)
    counted = {one.kind: one for one in detail.concentrations}
    prompts = counted.get("prompt")
    return Facts(
        until_us=question.now[1],
        carried=tuple(cause for causes in dimensions for cause in causes),
        uncarried_share=1.0 - sum(cause.share for cause in dimensions[0]) if dimensions else 1.0,
        spread=bool(dimensions) and surprise < _LEAST_SURPRISE and dimensions[0][0].share < _MOST,
        retries=Pair(now=_part(now.retries, now.calls), before=_part(before.retries, before.calls)),
        growing=Pair(now=_part(now.growing_cost, now.cost), before=_part(before.growing_cost, before.cost)),
        exploratory=Pair(now=_part(now.exploratory_cost, now.cost), before=_part(before.exploratory_cost, before.cost)),
        people=_among(counted.get("person")),
        sessions=_among(counted.get("session")),
        same_prompt=None
        if prompts is None
        else Pair(now=_part(prompts.most_calls, now.calls), before=_part(prompts.most_calls_before, before.calls)),
        same_prompt_calls=0 if prompts is None else prompts.most_calls,
        calls_per_prompt=None if prompts is None or not prompts.number else now.calls / prompts.number,
        key=_key(detail.key, rise, scale),
    )


def _dimensions(
    question: SpikeQuestion, detail: SpikeDetail, rise: int, scale: float
) -> tuple[float, list[tuple[Cause, ...]]]:
    """Named values of each dimension, most surprising first, and the surprise of the first, which is always told."""
    found: list[tuple[float, tuple[Cause, ...]]] = []
    for dimension in _DIMENSIONS:
        values = {
            one.value: (one.before * scale if scale else _even(question, detail, one.now), float(one.now))
            for one in detail.carried
            if one.dimension == dimension
        }
        causes = ranked(dimension, values, rise)
        if causes:
            surprise = sum(
                _surprise(_part(cause.before or 0, question.expected), _part(cause.after or 0, detail.now.cost))
                for cause in causes
            )
            found.append((round(surprise, 2), causes))
    found = _without_versions_of_one(found)
    found.sort(key=lambda one: -one[0])
    told = [causes for at, (surprise, causes) in enumerate(found) if not at or surprise >= _LEAST_SURPRISE]
    return found[0][0] if found else 0.0, told[:_TOLD]


def _without_versions_of_one(found: list[tuple[float, tuple[Cause, ...]]]) -> list[tuple[float, tuple[Cause, ...]]]:
    """A workflow's version is told only where it is more of a surprise than the workflow."""
    by_dimension = {causes[0].dimension: surprise for surprise, causes in found}
    if by_dimension.get("workflow_version", 0.0) >= by_dimension.get("workflow", 0.0) + _LEAST_SURPRISE:
        return found
    return [one for one in found if one[1][0].dimension != "workflow_version" or "workflow" not in by_dimension]


def _even(question: SpikeQuestion, detail: SpikeDetail, now: int) -> float:
    """What is usual where nothing is known of the mix before: the same mix as now."""
    return question.expected * _part(now, detail.now.cost)


def _surprise(was: float, now: float) -> float:
    """One value's part of the Jensen-Shannon divergence, in nats, from its shares before and now."""
    middle = (was + now) / 2

    def part(share: float) -> float:
        return share * math.log(share / middle) / 2 if share > 0 else 0.0

    return part(was) + part(now)


def _among(one: Concentration | None) -> Among | None:
    if one is None:
        return None
    return Among(number=one.number, first_share=max(0.0, one.first_share), carriers=one.carriers)


def _key(one: KeyUse | None, rise: int, scale: float) -> Key | None:
    if one is None or rise <= 0:
        return None
    return Key(
        share=(one.now - scale * one.before) / rise,
        known=one.before > 0,
        new_sources=one.new_sources,
        new_clients=one.new_clients,
        new_share=_part(one.new_cost, one.now),
        kept=_part(one.now - one.new_cost, scale * one.before),
    )


def _part(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0

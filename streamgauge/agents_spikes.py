"""In: a question on a spike. Out: what ClickHouse tells of its calls, as the agents take it: the rooms put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from sinks.investigation.spikes import Scoped, Spans, SpikeCalls, Whole
from streams.agents.batch import UNATTRIBUTED
from streams.agents.investigation.detail import (
    Carried,
    Carrier,
    Concentration,
    Counted,
    KeyUse,
    Span,
    SpikeDetail,
    SpikeQuestion,
    Sums,
)

#: Fewer calls hardly tell what use is made of.
_ENOUGH_CALLS: Final = 200
#: How a selector says NULL.
_NOTHING: Final = "\0"


def spike_detail(calls: SpikeCalls, question: SpikeQuestion) -> SpikeDetail:
    """What a team or use case did in a spike, and what its use is usually made of. Raises the driver's errors."""
    scoped = Scoped(_selectors(question), question.below)
    now = calls.whole(scoped, question.now)
    before, span = _usual(calls, scoped, question.before)
    was = 0 if before is None else before.cost
    rise = max(1.0, now.cost - question.expected)
    spans = Spans(question.now, span, question.expected / was if was > 0 else 0.0, rise)
    key = calls.key(scoped, spans)
    return SpikeDetail(
        now=_sums(now),
        before=None if before is None else _sums(before),
        carried=tuple(
            Carried(cast(Carrier, one.dimension), one.value, one.now, one.before)
            for one in calls.carriers(scoped, spans)
        ),
        concentrations=tuple(
            Concentration(
                cast(Counted, one.kind),
                one.number,
                one.first_share,
                one.carriers,
                one.most_calls,
                one.most_calls_before,
            )
            for one in calls.concentrations(scoped, spans)
        ),
        key=None if key is None else KeyUse(key.now, key.before, key.new_sources, key.new_clients, key.new_cost),
    )


def _usual(calls: SpikeCalls, scoped: Scoped, spans: Sequence[Span]) -> tuple[Whole | None, Span]:
    """The span that tells what use is usually made of, and its sums; None: nobody called in any."""
    best: tuple[Whole | None, Span] = (None, spans[-1])
    for span in spans:
        found = calls.whole(scoped, span)
        if found.calls > (0 if best[0] is None else best[0].calls):
            best = (found, span)
        if found.calls >= _ENOUGH_CALLS:
            break
    return best


def _selectors(question: SpikeQuestion) -> dict[str, tuple[str, ...]]:
    """Of a team's use case, or of a team. Calls of nobody, or without a use case, have no value there."""
    selectors: dict[str, tuple[str, ...]] = {"team_id": (_NOTHING if question.team == UNATTRIBUTED else question.team,)}
    if question.use_case is not None:
        selectors["use_case"] = (question.use_case or _NOTHING,)
    return selectors


def _sums(whole: Whole) -> Sums:
    return Sums(
        whole.calls,
        whole.errors,
        whole.retries,
        whole.input_tokens,
        whole.cache_read_tokens,
        whole.output_tokens,
        whole.cost,
        whole.growing_cost,
        whole.exploratory_cost,
    )

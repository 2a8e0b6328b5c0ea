"""In: what a span used and what is usual for it. Out: the change in cost, split exactly into its factors.

cost = calls × cost per call. Each is split by logarithms (LMDI-I; Ang, Energy Policy 33, 2005): with
L(a, b) = (a - b) / ln(a / b), a factor's part of the change is L(after, before) · ln(factor after / factor before), and
the parts add up without a remainder.

Calls are those that succeed, and what failing adds to them. A call's cost is its size in price units (an uncached
input token is one, a cached one 0.1, an output token 5: list prices of all large providers are near these multiples)
times the price of a unit; the size is input, its cached share and output, which add up, so each one's part of the
logarithm is its difference over L. Of the unit's price, the choice of model classes is told apart from the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from streams.agents.spikes.finding import Usage

Factor = Literal["calls", "errors", "input_per_call", "cache_share", "output_per_call", "model_mix", "price_per_token"]
_CACHED: Final = 0.1
_OUTPUT: Final = 5.0
#: Of calls, tokens or nano-dollars: below this there is none.
_LEAST: Final = 1e-6
#: Where all calls fail, one in fifty is still taken to succeed: there is no logarithm of nothing.
_MOST_ERRORS: Final = 0.98
#: A mix of models below this part of the unit price's logarithm is noise and stays in the price.
_LEAST_MIX: Final = 0.15
#: Prices differ from the multiples above by this part of what size explains at most; then the bill is right.
_OFF: Final = 0.5
#: A price that differs by less than this part of what size explains is the multiples' doing too.
_OFF_ALIKE: Final = 0.02
#: Tokens of a class below this part of all do not tell its price.
_LEAST_CLASS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Part:
    """One factor's part of the change, in nano-USD; shares of all parts add up to 1. `before` and `after`: calls,
    tokens of a call, shares; of price_per_token nano-USD of a price unit, with the models as before (where nothing has
    tokens: of a call).
    """

    factor: Factor
    delta: int
    share: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class _Log:
    """A factor, its part of ln(cost after / cost before), and its own value before and after."""

    factor: Factor
    part: float
    before: float
    after: float


def decompose(before: Usage, after: Usage) -> tuple[Part, ...]:
    """Parts in falling order. Empty when nothing changed. Deltas add up to round(after.cost) - round(before.cost)."""
    change = round(after.cost) - round(before.cost)
    if change == 0:
        return ()
    if min(before.cost, after.cost, before.calls, after.calls) < _LEAST:
        # There is no logarithm of nothing: what was free or absent before is new, and calls stand for that.
        return _shares([_Log("calls", 1.0, before.calls, after.calls)], change)
    logs = _calls(before, after)
    if min(before.tokens, after.tokens) < _LEAST:
        # Billed without tokens (images, searches): the price is that of a call.
        was, now = before.cost / before.calls, after.cost / after.calls
        return _shares([*logs, _Log("price_per_token", math.log(now / was), was, now)], change)
    return _shares([*logs, *_per_call(before, after)], change)


def _calls(before: Usage, after: Usage) -> list[_Log]:
    whole = math.log(after.calls / before.calls)
    was, now = error_share(before), error_share(after)
    failing = math.log((1 - min(was, _MOST_ERRORS)) / (1 - min(now, _MOST_ERRORS)))
    # Failing adds calls only where calls rose, and never more than all of the rise.
    failing = min(max(failing, 0.0), max(whole, 0.0))
    logs = [_Log("calls", whole - failing, before.calls, after.calls)]
    return [*logs, _Log("errors", failing, was, now)] if failing > 0 else logs


def _per_call(before: Usage, after: Usage) -> list[_Log]:
    """The logarithm of the cost of a call: what its size explains, the models, and the price."""
    whole = math.log(after.cost / after.calls * before.calls / before.cost)
    sizes = _sizes(before, after)
    size = sum(one.part for one in sizes)
    rest = whole - size
    if size and abs(rest) <= (_OFF if size * rest < 0 else _OFF_ALIKE) * abs(size):
        # The multiples are near, not exact: parts of the size are made to fit the bill.
        sizes = [_Log(one.factor, one.part * whole / size, one.before, one.after) for one in sizes]
        rest = 0.0
    mix = _mix_effect(before, after)
    mix = math.copysign(min(abs(mix), abs(rest)), rest) if mix * rest > 0 else 0.0
    mix = mix if abs(mix) >= _LEAST_MIX * abs(rest) else 0.0
    was = before.cost / _units(before)
    logs = [*sizes, _Log("price_per_token", rest - mix, was, was * math.exp(rest - mix))]
    if mix:
        name = dearer_class(before, after)
        logs.append(_Log("model_mix", mix, class_share(before, name), class_share(after, name)))
    return logs


def _sizes(before: Usage, after: Usage) -> list[_Log]:
    """The logarithm of a call's size in price units: input, the share of it that is cached, output."""
    input_was, input_now = before.input_tokens / before.calls, after.input_tokens / after.calls
    output_was, output_now = before.output_tokens / before.calls, after.output_tokens / after.calls
    cached_was, cached_now = cache_share(before), cache_share(after)
    paid_was, paid_now = 1 - (1 - _CACHED) * cached_was, 1 - (1 - _CACHED) * cached_now
    mean = _mean(_units(before) / before.calls, _units(after) / after.calls)
    # Input as it is paid is a product, so its difference is split in turn: half by half of the other's value.
    by_input = (input_now - input_was) * (paid_was + paid_now) / 2
    by_cache = (paid_now - paid_was) * (input_was + input_now) / 2
    return [
        _Log("input_per_call", by_input / mean, input_was, input_now),
        _Log("cache_share", by_cache / mean, cached_was, cached_now),
        _Log("output_per_call", _OUTPUT * (output_now - output_was) / mean, output_was, output_now),
    ]


def _units(usage: Usage) -> float:
    """Size of all calls in price units."""
    return usage.input_tokens * (1 - (1 - _CACHED) * cache_share(usage)) + _OUTPUT * usage.output_tokens


def _mean(a: float, b: float) -> float:
    """Logarithmic mean of two amounts above zero."""
    return a if abs(b - a) <= 1e-12 * a else (b - a) / math.log(b / a)


def error_share(usage: Usage) -> float:
    return min(1.0, usage.errors / usage.calls) if usage.calls > 0 else 0.0


def cache_share(usage: Usage) -> float:
    return min(1.0, usage.cache_read_tokens / usage.input_tokens) if usage.input_tokens > 0 else 0.0


def class_share(usage: Usage, name: str) -> float:
    """Of tokens."""
    total = sum(tokens for tokens, _ in usage.classes.values())
    return usage.classes.get(name, (0.0, 0.0))[0] / total if total > 0 else 0.0


def dearer_class(before: Usage, after: Usage) -> str:
    """The class whose share of cost grew most; empty without any."""
    was_all = max(sum(cost for _, cost in before.classes.values()), 1e-12)
    now_all = max(sum(cost for _, cost in after.classes.values()), 1e-12)

    def grown(name: str) -> float:
        return after.classes.get(name, (0.0, 0.0))[1] / now_all - before.classes.get(name, (0.0, 0.0))[1] / was_all

    return max(sorted({*before.classes, *after.classes}), key=grown, default="")


def _mix_effect(before: Usage, after: Usage) -> float:
    """Log of yesterday's class prices weighted by today's tokens, over weighted by yesterday's. A new class has today's
    price.
    """
    all_was = sum(tokens for tokens, _ in before.classes.values())
    all_now = sum(tokens for tokens, _ in after.classes.values())
    if all_was <= 0 or all_now <= 0:
        return 0.0
    was = now = 0.0
    for name in sorted({*before.classes, *after.classes}):
        tokens_was, cost_was = before.classes.get(name, (0.0, 0.0))
        tokens_now, cost_now = after.classes.get(name, (0.0, 0.0))
        known = tokens_was > _LEAST_CLASS * all_was
        tokens, cost = (tokens_was, cost_was) if known else (tokens_now, cost_now)
        price = cost / tokens if tokens > 0 else 0.0
        was += price * tokens_was / all_was
        now += price * tokens_now / all_now
    return math.log(now / was) if min(was, now) > 0 else 0.0


def _shares(logs: list[_Log], change: int) -> tuple[Part, ...]:
    """Whole nano-dollars in proportion to the logarithms; what rounding leaves goes to the largest."""
    total = sum(one.part for one in logs)
    if abs(total) < 1e-12:
        logs, total = [_Log(logs[0].factor, 1.0, logs[0].before, logs[0].after)], 1.0
    deltas = [round(change * (one.part / total)) for one in logs]
    largest = max(range(len(deltas)), key=lambda at: abs(deltas[at]))
    deltas[largest] += change - sum(deltas)
    parts = [
        Part(one.factor, delta, delta / change, one.before, one.after)
        for one, delta in zip(logs, deltas, strict=True)
        if delta or one.factor == "calls"
    ]
    return tuple(sorted(parts, key=lambda part: (-part.share, part.factor)))

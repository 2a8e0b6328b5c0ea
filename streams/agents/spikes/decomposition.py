"""In: calls, tokens and cost of a window, observed and usual. Out: the change in cost, split exactly into its factors.

cost = calls × tokens per call × price per token, so by the logarithmic mean (LMDI-I; Ang, Energy Policy 33, 2005)
each factor's part is L(after, before) · ln(factor after / factor before) with L(a, b) = (a - b) / ln(a / b), and the
parts add up to the change without a remainder. The price's part is divided further by what prompt caching and the
choice of models explain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.spikes.baseline import CACHE_READ_PRICE, OUTPUT_PRICE

Factor = Literal["calls", "tokens_per_call", "price_per_token", "cache_share", "model_mix"]

#: Of calls, tokens or nano-dollars: below this there is none.
_LEAST: Final = 1e-6
#: A refinement below this part of the price's own logarithm is noise and stays in price_per_token.
_LEAST_PART: Final = 0.15


@dataclass(frozen=True, slots=True)
class Usage:
    """One window: sums of calls, tokens (input + output), nano-USD, input tokens and cache reads; and tokens and cost
    by
    model class, [classes, 2].
    """

    calls: float
    tokens: float
    cost: float
    input_tokens: float
    cache_read: float
    mix: np.ndarray


@dataclass(frozen=True, slots=True)
class Part:
    """One factor's part of the change, in nano-USD; shares of all parts add up to 1."""

    factor: Factor
    delta: int
    share: float
    before: float
    after: float


def decompose(before: Usage, after: Usage) -> tuple[Part, ...]:
    """Parts in falling order. Empty when nothing changed. Deltas add up to round(after.cost) - round(before.cost)."""
    change = round(after.cost) - round(before.cost)
    if change == 0:
        return ()
    logs: list[tuple[Factor, float, float, float]] = []
    if min(before.cost, after.cost, before.calls, after.calls) < _LEAST:
        # There is no logarithm of nothing: what was free or absent before is new, and calls stand for that.
        logs.append(("calls", 1.0, before.calls, after.calls))
    elif min(before.tokens, after.tokens) < _LEAST:
        # Billed without tokens (images, searches): the price is that of a call.
        logs.append(("calls", math.log(after.calls / before.calls), before.calls, after.calls))
        was, now = before.cost / before.calls, after.cost / after.calls
        logs.append(("price_per_token", math.log(now / was), was, now))
    else:
        logs.append(("calls", math.log(after.calls / before.calls), before.calls, after.calls))
        was, now = before.tokens / before.calls, after.tokens / after.calls
        logs.append(("tokens_per_call", math.log(now / was), was, now))
        logs += _price(before, after)
    return _shares(logs, change)


def _price(before: Usage, after: Usage) -> list[tuple[Factor, float, float, float]]:
    """The price's logarithm, divided among caching, models and the rest; all with the sign of the whole."""
    was, now = before.cost / before.tokens, after.cost / after.tokens
    whole = math.log(now / was)
    cached_was, cached_now = _cache_share(before), _cache_share(after)
    wanted = {"cache_share": _cache_effect(before, cached_now), "model_mix": _mix_effect(before, after)}
    parts = {name: part if part * whole > 0 else 0.0 for name, part in wanted.items()}
    total = sum(abs(part) for part in parts.values())
    if total > abs(whole):
        parts = {name: part * abs(whole) / total for name, part in parts.items()}
    parts = {name: part if abs(part) >= _LEAST_PART * abs(whole) else 0.0 for name, part in parts.items()}
    logs: list[tuple[Factor, float, float, float]] = []
    if parts["cache_share"]:
        logs.append(("cache_share", parts["cache_share"], cached_was, cached_now))
    if parts["model_mix"]:
        dearest = _dearest(before, after)
        logs.append(("model_mix", parts["model_mix"], _class_share(before, dearest), _class_share(after, dearest)))
    logs.append(("price_per_token", whole - sum(parts.values()), was, now))
    return logs


def _cache_share(usage: Usage) -> float:
    return usage.cache_read / usage.input_tokens if usage.input_tokens > 0 else 0.0


def _cache_effect(before: Usage, cached_now: float) -> float:
    """Log of the price at today's cache share and yesterday's mix of input and output, over yesterday's price."""
    output = max(0.0, before.tokens - before.input_tokens)

    def units(share: float) -> float:
        return before.input_tokens * (1 - share * (1 - CACHE_READ_PRICE)) + OUTPUT_PRICE * output

    was, now = units(_cache_share(before)), units(cached_now)
    return math.log(now / was) if min(was, now) > 0 else 0.0


def _mix_effect(before: Usage, after: Usage) -> float:
    """Log of yesterday's class prices weighted by today's tokens, over weighted by yesterday's. A new class has today's
    price.
    """
    tokens_was, tokens_now = before.mix[:, 0], after.mix[:, 0]
    if tokens_was.sum() <= 0 or tokens_now.sum() <= 0:
        return 0.0
    price_was = np.divide(before.mix[:, 1], tokens_was, out=np.zeros(len(tokens_was)), where=tokens_was > 0)
    price_now = np.divide(after.mix[:, 1], tokens_now, out=np.zeros(len(tokens_now)), where=tokens_now > 0)
    price = np.where(tokens_was > 0.002 * tokens_was.sum(), price_was, price_now)
    was = float((price * tokens_was).sum() / tokens_was.sum())
    now = float((price * tokens_now).sum() / tokens_now.sum())
    return math.log(now / was) if min(was, now) > 0 else 0.0


def _class_share(usage: Usage, number: int) -> float:
    total = float(usage.mix[:, 0].sum())
    return float(usage.mix[number, 0]) / total if total > 0 else 0.0


def _dearest(before: Usage, after: Usage) -> int:
    return dearer_class(before.mix, after.mix)


def dearer_class(before: np.ndarray, after: np.ndarray) -> int:
    """The class whose share of cost grew most, from [classes, 2] of tokens and cost."""
    was = before[:, 1] / max(float(before[:, 1].sum()), 1e-12)
    now = after[:, 1] / max(float(after[:, 1].sum()), 1e-12)
    return int(np.argmax(now - was))


def _shares(logs: list[tuple[Factor, float, float, float]], change: int) -> tuple[Part, ...]:
    """Whole nano-dollars in proportion to the logarithms; what rounding leaves goes to the largest."""
    total = sum(log for _, log, _, _ in logs)
    if abs(total) < 1e-12:
        logs, total = [(logs[0][0], 1.0, logs[0][2], logs[0][3])], 1.0
    deltas = [round(change * (log / total)) for _, log, _, _ in logs]
    largest = max(range(len(deltas)), key=lambda at: abs(deltas[at]))
    deltas[largest] += change - sum(deltas)
    parts = [
        Part(factor, delta, delta / change, was, now) for (factor, _, was, now), delta in zip(logs, deltas, strict=True)
    ]
    return tuple(sorted(parts, key=lambda part: (-part.share, part.factor)))

"""In: sums of a workflow by model, before and after. Out: the change of its cost per call, split exactly.

Cost per call = input × (1 - cached) × price + input × cached × price of cache reads + output × price of output + rest,
where a price is the mean over models, weighted by how they share the tokens. The part of each factor is its Shapley
value (Shapley 1953): what changing it alone adds, on average over all orders in which the factors can change. The
parts add up to the change without a remainder, and none depends on an order somebody chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Final, Literal

from streams.agents.reviews.sums import Sums, whole

Factor = Literal["input_per_call", "cache_share", "output_per_call", "model_mix", "price_per_token", "other"]
FACTORS: Final[tuple[Factor, ...]] = (
    "input_per_call",
    "cache_share",
    "output_per_call",
    "model_mix",
    "price_per_token",
    "other",
)
_Kind = Literal["fresh", "cached", "output"]


@dataclass(frozen=True, slots=True)
class Part:
    """One factor's part of the change of the cost per call, in nano-USD, and the factor itself before and after."""

    factor: Factor
    delta: float
    before: float
    after: float


def split_change(before: Mapping[str, Sums], after: Mapping[str, Sums]) -> tuple[Part, ...]:
    """One part for each factor. Both spans have calls."""
    state = Blend(before, after)
    count = len(FACTORS)
    parts = []
    for factor in FACTORS:
        others = [other for other in FACTORS if other != factor]
        value = 0.0
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                changed = frozenset(chosen)
                value += weight * (state.cost(changed | {factor}) - state.cost(changed))
        parts.append(Part(factor, value, *state.seen(factor)))
    return tuple(parts)


class Blend:
    """The cost per call when some factors are as after, and all others as before."""

    def __init__(self, before: Mapping[str, Sums], after: Mapping[str, Sums]) -> None:
        self._models = (before, after)
        self._whole = whole(before), whole(after)
        self._rest = tuple(sum(sums.other_cost for sums in models.values()) for models in self._models)
        self._names = sorted({*before, *after})

    def cost(self, changed: frozenset[Factor]) -> float:
        """In nano-USD."""
        of_input, of_output = self._whole["input_per_call" in changed], self._whole["output_per_call" in changed]
        cached = _cached(self._whole["cache_share" in changed])
        other = "other" in changed
        mix, price = "model_mix" in changed, "price_per_token" in changed
        tokens = of_input.input_tokens / of_input.calls
        return (
            tokens * (1 - cached) * self._price("fresh", mix, price)
            + tokens * cached * self._price("cached", mix, price)
            + of_output.output_tokens / of_output.calls * self._price("output", mix, price)
            + self._rest[other] / self._whole[other].calls
        )

    def seen(self, factor: Factor) -> tuple[float, float]:
        """The factor before and after: tokens, a share, the share of the model that gained most, nano-USD."""
        before, after = self._whole
        if factor == "input_per_call":
            return before.input_tokens / before.calls, after.input_tokens / after.calls
        if factor == "cache_share":
            return _cached(before), _cached(after)
        if factor == "output_per_call":
            return before.output_tokens / before.calls, after.output_tokens / after.calls
        if factor == "model_mix":
            gained = self.gained()
            return self._share(0, gained), self._share(1, gained)
        if factor == "other":
            return self._rest[0] / before.calls, self._rest[1] / after.calls
        return self._per_token(frozenset()), self._per_token(frozenset({"price_per_token"}))

    def gained(self) -> str:
        """The model whose share of calls grew most."""
        return max(self._names, key=lambda name: (self._share(1, name) - self._share(0, name), name))

    def _share(self, side: int, name: str) -> float:
        return self._models[side].get(name, Sums()).calls / self._whole[side].calls

    def _per_token(self, changed: frozenset[Factor]) -> float:
        """Mean price of the tokens that were used before."""
        before = self._whole[0]
        rest = self._rest[0] / before.calls
        return (self.cost(changed) - rest) * before.calls / before.tokens if before.tokens else 0.0

    def _price(self, kind: _Kind, mix: bool, price: bool) -> float:
        """Mean price of a token. Where one side has no such tokens, the other side's mix and prices stand for it."""
        weights = {name: self._tokens(kind, mix, name) for name in self._names}
        if not any(weights.values()):
            weights = {name: self._tokens(kind, not mix, name) for name in self._names}
        total = sum(weights.values())
        if not total:
            return 0.0
        return sum(weight * self._model_price(kind, price, name) for name, weight in weights.items()) / total

    def _model_price(self, kind: _Kind, side: bool, name: str) -> float:
        for where in (side, not side):
            tokens = self._tokens(kind, where, name)
            if tokens:
                return _cost(kind, self._models[where][name]) / tokens
        return 0.0

    def _tokens(self, kind: _Kind, side: bool, name: str) -> int:
        sums = self._models[side].get(name)
        if sums is None:
            return 0
        return {"fresh": sums.fresh_tokens, "cached": sums.cache_read_tokens, "output": sums.output_tokens}[kind]


def _cost(kind: _Kind, sums: Sums) -> int:
    return {"fresh": sums.input_cost, "cached": sums.cache_cost, "output": sums.output_cost}[kind]


def _cached(sums: Sums) -> float:
    return sums.cache_read_tokens / sums.input_tokens if sums.input_tokens else 0.0

"""In: cells of one workflow. Out: what they add up to, by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streams.agents.reviews.questions import Cell


@dataclass(frozen=True, slots=True)
class Sums:
    """Calls, tokens and nano-USD. `other_cost`, of one model, is what no tokens explain: images, seconds of audio,
    calls at a provisional price.
    """

    calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    input_cost: int = 0
    cache_cost: int = 0
    output_cost: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            self.input_cost + other.input_cost,
            self.cache_cost + other.cache_cost,
            self.output_cost + other.output_cost,
        )

    @property
    def fresh_tokens(self) -> int:
        """Input that was not read from cache."""
        return self.input_tokens - self.cache_read_tokens

    @property
    def other_cost(self) -> int:
        explained = self.input_cost if self.fresh_tokens else 0
        explained += self.cache_cost if self.cache_read_tokens else 0
        return self.cost - explained - (self.output_cost if self.output_tokens else 0)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cost_per_call(self) -> float:
        return self.cost / self.calls if self.calls else 0.0


def by_model(cells: Iterable[Cell]) -> dict[str, Sums]:
    found: dict[str, Sums] = {}
    for cell in cells:
        found[cell.model] = found.get(cell.model, Sums()) + Sums(*cell[4:])
    return found


def whole(parts: Mapping[str, Sums]) -> Sums:
    return sum(parts.values(), Sums())

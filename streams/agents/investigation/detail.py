"""In: a budget that crossed a level. Out: questions about it, and the answers of whoever keeps single calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.control.budgets import Unit
from streams.agents.crossings import CrossingKey
from streams.agents.history import Before

#: What a rise is split by. People are no dimension.
Dimension = Literal["team", "use_case", "workflow", "model"]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CauseQuestion:
    """What the scope used in event time `now` and `before`, [from, to) in µs, by dimension; of calls below `below`."""

    partition: int
    key: CrossingKey
    selectors: Mapping[str, tuple[str, ...]]
    unit: Unit
    now: Span
    before: Span
    below: Before


@dataclass(frozen=True, slots=True)
class SiblingQuestion:
    """What the scope, and each scope that differs from it in one selector, used in the spans before and after."""

    partition: int
    key: CrossingKey
    selectors: Mapping[str, tuple[str, ...]]
    unit: Unit
    before: Span
    after: Span
    below: Before


Question = CauseQuestion | SiblingQuestion


@dataclass(frozen=True, slots=True)
class Mover:
    """What one value of a dimension used, in the budget's unit. Values with one to four people behind are left out."""

    dimension: Dimension
    value: str
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Detail:
    """The scope as a whole, with the share of input read from cache, and its parts."""

    now: int
    before: int
    cache_now: float | None
    cache_before: float | None
    movers: tuple[Mover, ...]


@dataclass(frozen=True, slots=True)
class Sibling:
    """A scope that differs in `column` alone: there it has `value`."""

    column: str
    value: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Moves:
    """The scope itself, and its siblings."""

    before: int
    after: int
    siblings: tuple[Sibling, ...]


class SpendingDetail(Protocol):
    """Blocks. Both raise `history.NotYet` when they cannot answer now."""

    def causes(self, question: CauseQuestion) -> Detail: ...

    def siblings(self, question: SiblingQuestion) -> Moves: ...

    def close(self) -> None: ...

"""In: a budget that crossed a level, or a spike. Out: questions about it, and the answers of whoever keeps single
calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.control.budgets import Unit
from streams.agents.crossings import CrossingKey
from streams.agents.history import Before

#: What a budget's rise is split by. People are no dimension.
Dimension = Literal["team", "use_case", "workflow", "model"]
#: What a spike is split by.
Carrier = Literal[
    "use_case", "workflow", "workflow_version", "prompt_template", "application", "model", "client", "credential"
]
#: What is only counted: never which person, session or prompt it is.
Counted = Literal["person", "session", "prompt"]
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

    @property
    def about(self) -> str:
        """What to name in a log line."""
        return self.key.budget_id


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

    @property
    def about(self) -> str:
        """What to name in a log line."""
        return self.key.budget_id


@dataclass(frozen=True, slots=True)
class SpikeQuestion:
    """What a team, or its use case, did in `now`, where `expected` nano-USD are usual. `before`: spans that may tell
    what its use is usually made of, the best first; the first with enough calls is taken, else the one with most.
    `so_far`: `now` is not over; it is asked about once more when it is.
    """

    partition: int
    alert_id: str
    team: str
    use_case: str | None
    now: Span
    before: tuple[Span, ...]
    expected: int
    below: Before
    so_far: bool = False

    @property
    def about(self) -> str:
        """What to name in a log line."""
        return self.alert_id


Question = CauseQuestion | SiblingQuestion | SpikeQuestion


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


@dataclass(frozen=True, slots=True)
class Sums:
    """Of all calls of a span: numbers, tokens, nano-USD. `retries`: calls that repeat another; `growing_cost`: what
    was spent in sessions whose input grows from call to call; `exploratory_cost`: on calls of that stage.
    """

    calls: int
    errors: int
    retries: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: int
    growing_cost: int
    exploratory_cost: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What one value of a dimension cost in both spans, nano-USD. No value has one to four people behind it."""

    dimension: Carrier
    value: str
    now: int
    before: int


@dataclass(frozen=True, slots=True)
class Concentration:
    """How the rise lies on people, sessions or prompts: `number` of them now, the share of the rise on the one that
    carries most, how many of them carry 60% of it (0: more than 50 do), the calls now of the one with most calls, and
    its calls before.
    """

    kind: Counted
    number: int
    first_share: float
    carriers: int
    most_calls: int
    most_calls_before: int


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The credential that carries most of the rise: nano-USD now and before; sources and clients not seen with it in
    the span before, and what was spent from them.
    """

    now: int
    before: int
    new_sources: int
    new_clients: int
    new_cost: int


@dataclass(frozen=True, slots=True)
class SpikeDetail:
    """`before`: of the span that was taken; None when none had calls."""

    now: Sums
    before: Sums | None
    carried: tuple[Carried, ...]
    concentrations: tuple[Concentration, ...]
    key: KeyUse | None


Found = Detail | Moves | SpikeDetail


class SpendingDetail(Protocol):
    """Blocks. All raise `history.NotYet` when they cannot answer now."""

    def causes(self, question: CauseQuestion) -> Detail: ...

    def siblings(self, question: SiblingQuestion) -> Moves: ...

    def spike(self, question: SpikeQuestion) -> SpikeDetail: ...

    def close(self) -> None: ...

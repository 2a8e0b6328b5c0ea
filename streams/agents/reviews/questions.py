"""In: the end of an hour or a day of event time, and source offsets. Out: questions about workflows and use cases, and
the answers of whoever keeps single calls and outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from streams.agents.history import Before

#: Hours that are looked at to find what has shifted, and that are read of what may have.
LOOK_HOURS: Final = 35 * 24
READ_HOURS: Final = 49 * 24
#: Closed weeks that a trend may span.
LOOK_WEEKS: Final = 8


class Workflow(NamedTuple):
    """Empty `team`: calls of nobody known."""

    team: str
    name: str


@dataclass(frozen=True, slots=True)
class RegressionQuestion:
    """Workflows that may have shifted, by hours before `until_hour` (since the epoch), and those of `running`
    whatever they did; of calls below `below`. `ratio`, `least_calls` and `least_extra` (nano-USD a month): what may be
    worth a look.
    """

    partition: int
    until_hour: int
    below: Before
    running: tuple[Workflow, ...]
    ratio: float
    least_calls: int
    least_extra: int


@dataclass(frozen=True, slots=True)
class DivergenceQuestion:
    """Cost and outcomes of each use case in the LOOK_WEEKS weeks before `until_hour`, a Monday, and in the one before
    them, which tells whether the first is whole; of calls below `below`.
    """

    partition: int
    until_hour: int
    below: Before


Question = RegressionQuestion | DivergenceQuestion
Kind = Literal["regressions", "divergences"]


def kind_of(question: Question) -> Kind:
    return "regressions" if isinstance(question, RegressionQuestion) else "divergences"


class Cell(NamedTuple):
    """Calls of one workflow in one hour, by version, prompt template and model. Empty texts stand for null, and for
    versions beyond the usual number. `cost` in nano-USD has unpriced calls at their provisional price; the three after
    it are parts of it: uncached input with cache writes, cache reads, output.
    """

    hour: int
    version: str
    template: str
    model: str
    calls: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: int
    input_cost: int
    cache_cost: int
    output_cost: int


@dataclass(frozen=True, slots=True)
class WorkflowHours:
    """All cells of one workflow in order of time. `use_case`: where all its calls name the same one."""

    workflow: Workflow
    use_case: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class SpikeTold:
    """The newest state of an alert on a spike. Event time [start_us, end_us)."""

    alert_id: str
    team: str
    use_case: str | None
    start_us: int
    end_us: int
    runs: bool


@dataclass(frozen=True, slots=True)
class Workflows:
    """The answer to a RegressionQuestion."""

    workflows: tuple[WorkflowHours, ...]
    spikes: tuple[SpikeTold, ...]


class Week(NamedTuple):
    """One use case in the week that begins at `hour`, a Monday. `cost` in nano-USD, of priced calls."""

    hour: int
    calls: int
    unpriced: int
    cost: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class UseCaseWeeks:
    """Weeks in order; those without calls and outcomes are missing."""

    use_case: str
    weeks: tuple[Week, ...]


@dataclass(frozen=True, slots=True)
class UseCases:
    """The answer to a DivergenceQuestion."""

    use_cases: tuple[UseCaseWeeks, ...]


Answer = Workflows | UseCases


class ReviewSource(Protocol):
    """Blocks. Both raise `history.NotYet` when they cannot answer now."""

    def workflows(self, question: RegressionQuestion, /) -> Workflows: ...

    def use_cases(self, question: DivergenceQuestion, /) -> UseCases: ...

    def close(self) -> None: ...

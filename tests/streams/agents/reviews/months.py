"""Two simulated months of workflows, hour by hour; and a source of answers that sieves and cuts as ClickHouse does.

The simulation knows nothing of how shifts are found: it draws calls and tokens and prices them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from streams.agents.reviews.questions import (
    LOOK_HOURS,
    READ_HOURS,
    Cell,
    RegressionQuestion,
    SpikeTold,
    Workflow,
    WorkflowHours,
    Workflows,
)
from tests.streams.agents.samples import us

#: Monday.
START = us("2026-08-03T00:00:00+00:00") // 3_600_000_000
DAY = 24
DAYS = 60
#: Nano-USD per token: input, cache reads, output.
PRICES = {"sonnet": (3_000, 300, 15_000), "opus": (15_000, 1_500, 75_000)}


@dataclass(frozen=True)
class Hour:
    """What the calls of one version do in one hour: calls, tokens per call, share of cached input, model."""

    calls: float
    input_tokens: float = 2_000
    output_tokens: float = 300
    cached: float = 0.5
    version: str = "v1"
    template: str = "base@1"
    model: str = "sonnet"
    noise: float = 0.05


Shape = Callable[[int], Sequence[Hour]]


def cells(shape: Shape, seed: int, days: int = DAYS) -> tuple[Cell, ...]:
    """`shape(hour of the simulation)` says what happens in each hour."""
    rng = np.random.default_rng(seed)
    found = []
    for at in range(days * DAY):
        for hour in shape(at):
            calls = int(rng.poisson(hour.calls))
            if calls:
                found.append(priced(START + at, hour, calls, float(rng.lognormal(0, hour.noise))))
    return tuple(found)


def priced(at: int, hour: Hour, calls: int, factor: float = 1.0) -> Cell:
    tokens = round(calls * hour.input_tokens * factor)
    cached = round(tokens * hour.cached)
    output = round(calls * hour.output_tokens * factor)
    fresh_price, cache_price, output_price = PRICES[hour.model]
    costs = (tokens - cached) * fresh_price, cached * cache_price, output * output_price
    return Cell(at, hour.version, hour.template, hour.model, calls, tokens, cached, output, sum(costs), *costs)


def page() -> str:
    """docs/reviews.md as one line, without the marks of quotations."""
    lines = Path("docs/reviews.md").read_text(encoding="utf-8").splitlines()
    return " ".join(" ".join(line.removeprefix("> ") for line in lines).split())


def busy(at: int, calls: float = 40) -> float:
    """Calls by the time of day and week: few at night, fewer at weekends."""
    day = 1.0 if 8 <= at % DAY < 19 else 0.3
    return calls * day * (0.4 if at // DAY % 7 >= 5 else 1.0)


class Known:
    """One workflow: its cells, and calls, cost and tokens by hour."""

    def __init__(self, known: Sequence[Cell]) -> None:
        self.cells = tuple(known)
        self.hours = [cell.hour for cell in known]
        self.at, group = np.unique(np.array(self.hours), return_inverse=True)
        calls, cost, tokens = (
            np.bincount(group, [float(value) for value in column])
            for column in (
                [cell.calls for cell in known],
                [cell.cost for cell in known],
                [cell.input_tokens + cell.output_tokens for cell in known],
            )
        )
        self.calls = calls
        self.values = cost / calls, tokens / calls

    def between(self, first: int, until: int) -> tuple[Cell, ...]:
        return self.cells[bisect_left(self.hours, first) : bisect_left(self.hours, until)]

    def sieved(self, question: RegressionQuestion) -> bool:
        """As sinks/reviews/shifted.sql."""
        until = question.until_hour
        first = until - LOOK_HOURS
        enough = self.calls >= question.least_calls

        def part(measure: int, start: int, end: int) -> np.ndarray:
            found: np.ndarray = self.values[measure][enough & (self.at >= start) & (self.at < end)]
            return found

        passes, extra = [], 0.0
        for measure in (0, 1):
            day, newest = part(measure, until - 24, until), part(measure, until - 6, until)
            if not len(day):
                return False
            now = max(float(np.median(day)), float(np.median(newest if len(newest) else day)))
            early = part(measure, first, until - 24), part(measure, first, first + 168)
            was = min((float(np.quantile(one, 0.25)) for one in early if len(one)), default=float("inf"))
            passes.append(now >= 0.9 * question.ratio * was)
            if measure == 0:
                week = enough & (self.at >= until - 168) & (self.at < until)
                extra = (now - was) * float(self.calls[week].sum()) * 30 / 7
        return any(passes) and extra >= question.least_extra / 2


@dataclass
class Source:
    """Workflows by team and name."""

    workflows: dict[Workflow, Known]
    use_cases: dict[Workflow, str] = field(default_factory=dict)
    spikes: tuple[SpikeTold, ...] = ()

    def answer(self, question: RegressionQuestion) -> Workflows:
        until = question.until_hour
        found = []
        for name, known in sorted(self.workflows.items()):
            if name in question.running or known.sieved(question):
                read = known.between(until - READ_HOURS, until)
                if read:
                    found.append(WorkflowHours(name, self.use_cases.get(name), read))
        return Workflows(tuple(found), self.spikes)

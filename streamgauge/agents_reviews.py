"""In: reviews that are due. Out: what ClickHouse holds of workflows and use cases, as the agents take it: the rooms put
together.
"""

from __future__ import annotations

from itertools import groupby

from sinks.recovery.bases import BaseSums
from sinks.reviews.reading import HourRow, Reading, Sieve
from streamgauge.agents_asking import Asking, require_rows
from streams.agents.reviews.questions import (
    LOOK_HOURS,
    LOOK_WEEKS,
    READ_HOURS,
    Cell,
    DivergenceQuestion,
    RegressionQuestion,
    SpikeTold,
    UseCases,
    UseCaseWeeks,
    Week,
    Workflow,
    WorkflowHours,
    Workflows,
)

_WEEK_HOURS = 168


class AgentsReviews:
    """Honours `streams.agents.reviews.questions.ReviewSource`. Not thread-safe."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def workflows(self, question: RegressionQuestion) -> Workflows:
        """1 ClickHouse has all rows; 2 sieve; 3 read what passes, and what runs; 4 spikes of their teams."""
        until = question.until_hour
        with self._asking as (database, log):
            require_rows(BaseSums(database, log, self._asking.clock), question.below)  # 1
            reading = Reading(database, log, question.below)
            sieve = Sieve(until - LOOK_HOURS, until, question.ratio, question.least_calls, question.least_extra)
            names = sorted({*reading.shifted(sieve), *((name.team, name.name) for name in question.running)})  # 2
            rows = reading.hours(names, until - READ_HOURS, until)  # 3
            teams = sorted({team for team, _ in names})
            spikes = reading.spikes(teams, until - LOOK_HOURS, until) if teams else []  # 4
        return Workflows(
            tuple(_workflow(list(group)) for _, group in groupby(rows, key=lambda row: row.name)),
            tuple(
                SpikeTold(one.alert_id, one.team, one.use_case or None, one.start_us, one.end_us, one.runs)
                for one in spikes
            ),
        )

    def use_cases(self, question: DivergenceQuestion) -> UseCases:
        """1 ClickHouse has all rows; 2 sum by week."""
        first = question.until_hour - (LOOK_WEEKS + 1) * _WEEK_HOURS
        with self._asking as (database, log):
            require_rows(BaseSums(database, log, self._asking.clock), question.below)  # 1
            rows = Reading(database, log, question.below).weeks(first, question.until_hour)  # 2
        return UseCases(
            tuple(
                UseCaseWeeks(
                    name,
                    tuple(
                        Week(row.hour, row.calls, row.unpriced, row.cost, row.succeeded, row.failed) for row in group
                    ),
                )
                for name, group in groupby(rows, key=lambda row: row.use_case)
            )
        )

    def close(self) -> None:
        """Give back the connection."""
        self._asking.close()


def _workflow(rows: list[HourRow]) -> WorkflowHours:
    use_cases = {name for row in rows for name in (row.least_use_case, row.greatest_use_case)}
    cells = tuple(Cell(row.hour, row.version, row.template, row.model, *row.amounts) for row in rows)
    return WorkflowHours(Workflow(*rows[0].name), use_cases.pop() or None if len(use_cases) == 1 else None, cells)

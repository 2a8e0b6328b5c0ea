"""In: enriched rows, their cells (a team's sums by minute) and the budgets. Out: one row per budget, period and quarter
of an hour.

Budgets with the same selectors set have one *shape*. Where cells have all columns of a shape, they are summed once for
it, and what is left looks its budgets up, however many there are. A shape with another column (a person, a workflow) is
summed from the rows themselves, but only from those that one of its budgets may want: a budget about one person costs
what that person sends. Enrich computes the period, so that an agent can add the row up without knowing the budget yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.control.budgets import Budget
from schemas.control.periods import period_of
from schemas.tallies import CELL_DIMENSIONS, MEASURES
from streams.enrich.cells import Cells
from streams.enrich.columns import Ints
from streams.enrich.facts import Facts
from streams.enrich.groups import Index, Names, keys_of, sum_groups

QUARTER_MINUTES: Final = 15
_NO_PERIOD: Final = -(2**62)
#: Partition, budget, quarter, and sums (measures × rows).
_Matched = tuple[Ints, Index, Ints, Ints]


@dataclass(frozen=True, slots=True)
class BudgetRows:
    """Rows ordered by input partition, budget and quarter of an hour; each such triple has one row.

    `budget` are places in `BudgetIndex.ids` and `.rules`; `minute` (of the quarter) and `period_start` are minutes
    since the epoch; `sums` is measures × rows, in the order of MEASURES.
    """

    partition: Ints
    budget: Index
    minute: Ints
    period_start: Ints
    sums: Ints


class BudgetIndex:
    """The budgets of one control snapshot, by shape."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        ordered = sorted(budgets, key=lambda budget: (budget.id, budget.rule))
        self.ids = [budget.id for budget in ordered]
        self.rules = [budget.rule for budget in ordered]
        calendars = [(budget.period, budget.time_zone, budget.starts_at, budget.ends_at) for budget in ordered]
        numbers = {calendar: number for number, calendar in enumerate(dict.fromkeys(calendars))}
        self._calendar_of = np.array([numbers[one] for one in calendars], np.int64)
        #: One budget of each calendar: all of them have the same periods.
        self._calendars = [ordered[calendars.index(calendar)] for calendar in numbers]
        self._starts: dict[tuple[int, int], int] = {}
        #: Shape -> values of its selectors -> places of the budgets that want them.
        self._shapes: dict[tuple[str, ...], dict[tuple[str | None, ...], list[int]]] = defaultdict(dict)
        #: Shape that cells cannot serve -> by column, the values that one of its budgets wants.
        self._wanted: dict[tuple[str, ...], dict[str, pa.Array]] = {}
        for place, budget in enumerate(ordered):
            selectors = budget.scope.selectors()
            shape = tuple(sorted(selectors))
            for values in product(*(selectors[name] for name in shape)):
                self._shapes[shape].setdefault(values, []).append(place)
        for shape, wanted in self._shapes.items():
            if not set(shape) <= set(CELL_DIMENSIONS):
                texts = [pa.array(sorted(set(column)), pa.utf8()) for column in zip(*wanted, strict=True)]
                self._wanted[shape] = dict(zip(shape, texts, strict=True))

    def rows(self, cells: Cells, facts: Facts) -> BudgetRows:
        """What the budgets count of the rows `facts`, whose cells are `cells`."""
        matched = [
            self._match_rows(facts, shape) if shape in self._wanted else self._match_cells(cells, shape)
            for shape in self._shapes
        ]
        if not matched:
            nothing = np.zeros(0, np.int64)
            return BudgetRows(nothing, nothing, nothing, nothing, np.zeros((len(MEASURES), 0), np.int64))
        partition, budget, minute = (np.concatenate([one[at] for one in matched]) for at in range(3))
        sums = np.concatenate([one[3] for one in matched], axis=1)
        # A budget of several departments was matched by each of them.
        order, sums = sum_groups(keys_of([partition, budget, minute], len(budget)), sums)
        starts = self._period_starts(budget[order], minute[order])
        runs = starts != _NO_PERIOD
        order = order[runs]
        return BudgetRows(partition[order], budget[order], minute[order], starts[runs], sums[:, runs])

    def _match_cells(self, cells: Cells, shape: tuple[str, ...]) -> _Matched:
        names = [cells.names[name] for name in shape]
        return self._match(cells.partition, cells.minute, names, cells.sums, shape)

    def _match_rows(self, facts: Facts, shape: tuple[str, ...]) -> _Matched:
        rows = facts.among(self._wanted[shape])
        taken = pa.array(rows)
        names = [Names.of(facts.column(name).take(taken)) for name in shape]
        return self._match(facts.partition[rows], facts.minute[rows], names, facts.sums[:, rows], shape)

    def _match(
        self, partition: Ints, minute: Ints, names: Sequence[Names], sums: Ints, shape: tuple[str, ...]
    ) -> _Matched:
        """Partition, budget, quarter and sums of what the budgets of one shape count."""
        quarter = minute // QUARTER_MINUTES * QUARTER_MINUTES
        groups, sums = sum_groups(keys_of([partition, quarter, *(one.codes for one in names)], len(quarter)), sums)
        wanted = self._shapes[shape]
        if shape:
            values = zip(*([one.texts[code] for code in one.codes[groups].tolist()] for one in names), strict=True)
            budgets = [wanted.get(value, []) for value in values]
        else:
            budgets = [wanted[()]] * len(groups)
        times = np.repeat(np.arange(len(groups)), [len(one) for one in budgets])
        rows = groups[times]
        budget = np.fromiter(chain.from_iterable(budgets), np.intp, len(rows))
        return partition[rows], budget, quarter[rows], sums[:, times]

    def _period_starts(self, budget: Index, minute: Ints) -> Ints:
        """Minutes since the epoch of the start of each row's period; _NO_PERIOD outside of a span.

        Python sees each distinct pair of calendar and quarter of an hour once: a handful in a batch of live traffic.
        """
        calendar = self._calendar_of[budget]
        _, pairs, row_of = np.unique(keys_of([calendar, minute], len(minute)), return_index=True, return_inverse=True)
        starts = [
            self._period_start(code, at)
            for code, at in zip(calendar[pairs].tolist(), minute[pairs].tolist(), strict=True)
        ]
        return np.array(starts, np.int64)[row_of]

    def _period_start(self, calendar: int, minute: int) -> int:
        known = self._starts.get((calendar, minute))
        if known is None:
            if len(self._starts) > 65_536:
                self._starts.clear()
            period = period_of(self._calendars[calendar], minute * 60_000_000)
            known = self._starts[calendar, minute] = _NO_PERIOD if period is None else period.start_minute
        return known

"""In: cells (a team's sums by minute) and the budgets. Out: one row per budget, period and quarter of an hour.

Budgets with the same selectors set have one *shape*: cells are summed once per shape, and what is left looks its
budgets up, however many there are. Enrich computes the period, so that an agent can add the row up without knowing the
budget yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, product
from typing import Final

import numpy as np

from schemas.control.budgets import Budget
from schemas.control.periods import period_of
from schemas.tallies import MEASURES
from streams.enrich.cells import Cells
from streams.enrich.columns import Ints
from streams.enrich.groups import Index, keys_of, sum_groups

QUARTER_MINUTES: Final = 15
_NO_PERIOD: Final = -(2**62)


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
        for place, budget in enumerate(ordered):
            selectors = budget.scope.selectors()
            shape = tuple(sorted(selectors))
            for values in product(*(selectors[name] for name in shape)):
                self._shapes[shape].setdefault(values, []).append(place)

    def rows(self, cells: Cells) -> BudgetRows:
        """What the budgets count of `cells`."""
        quarter = cells.minute // QUARTER_MINUTES * QUARTER_MINUTES
        matched = [self._match(cells, quarter, shape) for shape in self._shapes]
        if not matched:
            nothing = np.zeros(0, np.int64)
            return BudgetRows(nothing, nothing, nothing, nothing, np.zeros((len(MEASURES), 0), np.int64))
        partition, budget, minute = (np.concatenate([one[at] for one in matched]) for at in range(3))
        sums = np.concatenate([one[3] for one in matched], axis=1)
        starts = self._period_starts(budget, minute)
        order = np.lexsort((minute, budget, partition))
        order = order[starts[order] != _NO_PERIOD]
        return BudgetRows(partition[order], budget[order], minute[order], starts[order], sums[:, order])

    def _match(self, cells: Cells, quarter: Ints, shape: tuple[str, ...]) -> tuple[Ints, Index, Ints, Ints]:
        """Partition, budget, quarter and sums of the rows that budgets of one shape count."""
        names = [cells.names[name] for name in shape]
        keys = keys_of([cells.partition, quarter, *(one.codes for one in names)], len(quarter))
        groups, sums = sum_groups(keys, cells.sums)
        wanted = self._shapes[shape]
        if shape:
            values = zip(*([one.texts[code] for code in one.codes[groups].tolist()] for one in names), strict=True)
            budgets = [wanted.get(value, []) for value in values]
        else:
            budgets = [wanted[()]] * len(groups)
        times = np.repeat(np.arange(len(groups)), [len(one) for one in budgets])
        rows = groups[times]
        budget = np.fromiter(chain.from_iterable(budgets), np.intp, len(rows))
        return cells.partition[rows], budget, quarter[rows], sums[:, times]

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

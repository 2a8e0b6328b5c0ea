"""In: the budgets in force and the attributes of one call. Out: the budgets that will count it, with their running
periods.

Budgets with the same selectors have one *shape*; a call is looked up once per shape, however many budgets there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from schemas.control.budgets import LEVELS, Budget, Level
from schemas.control.periods import BudgetPeriod, period_name, period_of


class BudgetEntry:
    """One budget, with what is dear to find out anew for every answer: its rule, its selectors, its running period.

    `shape` and `values`: the columns that it selects by, and each combination of values that matches.
    """

    __slots__ = ("_levels", "_period", "_whose", "budget", "is_personal", "rule", "shape", "values")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.rule = budget.rule
        self.is_personal = budget.scope.is_personal
        selectors = budget.scope.selectors()
        self.shape = tuple(sorted(selectors))
        self.values = tuple(product(*(dict.fromkeys(selectors[name]) for name in self.shape)))
        self._period: BudgetPeriod | None = None
        self._whose: tuple[int, str] | None = None
        self._levels: dict[Level, int] | None = None

    @property
    def levels(self) -> dict[Level, int]:
        """Use at which each level of the document begins."""
        known = self._levels
        if known is None:
            known = self._levels = {level: self.budget.level_units(level) for level in LEVELS}
        return known

    def period(self, us: int) -> BudgetPeriod | None:
        """The period that holds an instant; None outside of a span."""
        known = self._period
        if known is None or us not in known:
            known = self._period = period_of(self.budget, us)
        return known

    def whose(self, period: BudgetPeriod) -> str:
        """For people: `search-month (team search, November 2026)`. One person is never named."""
        known = self._whose
        if known is None or known[0] != period.start_us:
            name = period_name(self.budget, period.start_us)
            known = self._whose = (period.start_us, f"{self.budget.id} ({self.budget.scope.text()}, {name})")
        return known[1]


class BudgetIndex:
    """All budgets of one snapshot. `before`: what an earlier one knew of budgets that have not changed is kept."""

    def __init__(self, budgets: Iterable[Budget], before: BudgetIndex | None = None) -> None:
        known = before.entries if before is not None else {}
        self.entries: dict[str, BudgetEntry] = {}
        shapes: dict[tuple[str, ...], dict[tuple[str, ...], list[BudgetEntry]]] = {}
        for budget in budgets:
            entry = known.get(budget.id)
            if entry is None or entry.budget is not budget:
                entry = BudgetEntry(budget)
            self.entries[budget.id] = entry
            by_values = shapes.setdefault(entry.shape, {})
            for values in entry.values:
                by_values.setdefault(values, []).append(entry)
        self._shapes = tuple(shapes.items())
        self.has_personal = any(entry.is_personal for entry in self.entries.values())

    def matching(self, facts: Mapping[str, str]) -> Iterator[BudgetEntry]:
        """Every budget that counts a call with these attributes; one that is not known matches no selector of it."""
        for shape, by_values in self._shapes:
            values = tuple(facts[name] for name in shape if name in facts)
            if len(values) == len(shape):
                yield from by_values.get(values, ())

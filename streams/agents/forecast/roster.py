"""In: the home budgets of a shard. Out: whose memory stands where, in which zone, and in which period each one is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from schemas.control.budgets import Budget
from schemas.control.periods import BudgetPeriod, period_of
from streams.agents.forecast.local_time import HOUR_US
from streams.agents.forecast.memory import ROW, fresh

_NEVER = 2**62


class Roster:
    """Budgets of a day and longer in the order of their numbers, with their memories as one structured array."""

    def __init__(self) -> None:
        self.numbers = np.zeros(0, dtype=np.int64)
        self.rows = np.zeros(0, dtype=ROW)
        self.budgets: list[Budget] = []
        #: Their documents' limits, in whole units.
        self.limits = np.zeros(0)
        self.slot_of: dict[str, int] = {}
        self.zones: dict[str, np.ndarray] = {}
        #: Period that holds the hour last looked at, µs; an end of 0 where there is none.
        self.start_us = np.zeros(0, dtype=np.int64)
        self.end_us = np.zeros(0, dtype=np.int64)
        self._known: Mapping[int, Budget] = {}

    def take(self, by_number: Mapping[int, Budget]) -> None:
        """Let these be the budgets from now on; memories of those that stay are kept."""
        self._known = by_number
        kept = sorted(number for number, budget in by_number.items() if budget.period != "hour")
        numbers = np.array(kept, dtype=np.int64)
        rows = fresh(len(numbers))
        known = np.flatnonzero(np.isin(numbers, self.numbers))
        rows[known] = self.rows[np.searchsorted(self.numbers, numbers[known])]
        self.numbers, self.rows = numbers, rows
        self.budgets = [by_number[number] for number in kept]
        self.limits = np.array([float(budget.limit_units) for budget in self.budgets])
        self.slot_of = {budget.id: slot for slot, budget in enumerate(self.budgets)}
        zones: dict[str, list[int]] = {}
        for slot, budget in enumerate(self.budgets):
            zones.setdefault(budget.time_zone, []).append(slot)
        self.zones = {zone: np.array(slots) for zone, slots in sorted(zones.items())}
        self.start_us, self.end_us = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.int64)

    def slots(self, numbers: np.ndarray) -> np.ndarray:
        """Where these budgets stand; -1 for those that are not here."""
        if not len(self.numbers):
            return np.full(len(numbers), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        found: np.ndarray = np.where(self.numbers[at] == numbers, at, -1)
        return found

    def turn(self, hour: int) -> None:
        """Bring the periods to those that hold the beginning of an hour."""
        at_us = hour * HOUR_US
        due = np.flatnonzero((self.start_us > at_us) | (self.end_us <= at_us))
        made: dict[tuple[object, ...], BudgetPeriod | None] = {}
        for slot in due.tolist():
            budget = self.budgets[slot]
            calendar = (budget.period, budget.time_zone, budget.starts_at, budget.ends_at)
            if calendar not in made:
                made[calendar] = period_of(budget, at_us)
            period = made[calendar]
            self.start_us[slot], self.end_us[slot] = (_NEVER, 0) if period is None else (period.start_us, period.end_us)

    def start_minute(self, number: int, hour: int) -> int:
        """Start of the period of a budget that holds the beginning of an hour; -1: none, or it is not known."""
        budget = self._known.get(number)
        period = None if budget is None else period_of(budget, hour * HOUR_US)
        return -1 if period is None else max(0, period.start_minute)

    def restore(self, numbers: np.ndarray, rows: np.ndarray) -> None:
        """Memories of a checkpoint; whose they are is known with the first documents."""
        order = np.argsort(numbers)
        self.numbers, self.rows = numbers[order], rows[order]
        self.budgets, self.limits, self.zones, self._known = [], np.zeros(0), {}, {}

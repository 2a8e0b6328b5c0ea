"""In: budget rows of a batch. Out: what every budget has used in each of its periods, and which levels have fired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from schemas.control.budgets import LEVELS, Budget, Unit
from schemas.control.periods import MINUTE_US, period_of
from streams.agents.batch import RULE_SEPARATOR, BudgetRows
from streams.agents.floors import Floors, unknown_floor_minute
from streams.agents.names import Names
from streams.agents.sums import SumTable, group, group_sorted, owners, pack, windows

#: What is summed of a budget's use: these five, in this order, everywhere.
USED_MEASURES: Final = ("calls", "tokens", "cost_nanousd", "provisional_nanousd", "output_tokens")
#: Columns of a total: the five, and a bit per level that has fired.
CALLS, TOKENS, COST, PROVISIONAL, OUTPUT, FIRED = range(6)

#: Which columns make up what is used, by unit.
_WEIGHTS: Final[dict[Unit, tuple[int, ...]]] = {
    "usd": (0, 0, 1, 1, 0),
    "tokens": (0, 1, 0, 0, 0),
    "input_tokens": (0, 1, 0, 0, -1),
    "output_tokens": (0, 0, 0, 0, 1),
    "calls": (1, 0, 0, 0, 0),
}
#: Stands for a level beyond int64, which can never be reached.
NEVER_REACHED: Final = 2**63 - 1


def used(unit: Unit, sums: np.ndarray) -> np.ndarray:
    """int64[n] in the budget's unit from sums[n, ≥5]. Unpriced use is held at its stated provisional price."""
    amount: np.ndarray = sums[:, : len(USED_MEASURES)] @ np.array(_WEIGHTS[unit], dtype=np.int64)
    return amount


class Totals:
    """Sums keyed by (budget under a rule, start of its period in minutes)."""

    def __init__(self) -> None:
        self.table = SumTable(len(USED_MEASURES) + 1)
        self.names = Names(1 << 32)
        self._floors = Floors({})
        self._pruned_us: int | None = None

    def number(self, budget: Budget) -> int:
        return self.names.number(f"{budget.id}{RULE_SEPARATOR}{budget.rule}")

    def rule(self, number: int) -> str:
        """The rule under which a numbered budget is counted."""
        return self.names.texts[number].rpartition(RULE_SEPARATOR)[2]

    def key(self, budget: Budget, start_us: int) -> int:
        """Of the budget's period that starts then; as the tallies put it, nothing starts before 1970."""
        return (self.number(budget) << 32) | max(0, start_us // MINUTE_US)

    def row(self, key: int) -> np.ndarray:
        """int64[6]; zeros where nothing was used."""
        row: np.ndarray = self.table.get(np.array([key], dtype=np.uint64))[0]
        return row

    def amount(self, budget: Budget, key: int) -> int:
        """What was used, in the budget's unit."""
        return int(used(budget.unit, self.row(key)[None, :])[0])

    def keep_by(self, floors: Floors) -> None:
        """Keep and let go by these from now on."""
        self._floors, self._pruned_us = floors, None

    def kept(self, keys: np.ndarray, watermark_us: int | None) -> np.ndarray:
        """bool[n]: whether a key's period is still kept."""
        fresh: np.ndarray = windows(keys) >= self._floors.of(owners(keys), watermark_us)
        return fresh

    def fold(self, rows: BudgetRows) -> np.ndarray:
        """Add the rows; the distinct keys that changed."""
        keys, sums = group_sorted(rows.keys, rows.sums)
        self.table.add(keys, np.concatenate([sums, np.zeros((len(sums), 1), np.int64)], axis=1))
        return keys

    def add_use(self, budget: Budget, minutes: np.ndarray, sums: np.ndarray, quarters: SumTable) -> np.ndarray:
        """Add use by quarter of an hour: minutes[n], sums[n, 5]; to `quarters` as well. The keys of the periods."""
        owner = np.full(len(minutes), self.number(budget))
        quarters.add(*group(pack(owner, minutes), sums))
        periods = [period_of(budget, at * MINUTE_US) for at in minutes.tolist()]
        inside = np.array([period is not None for period in periods], dtype=bool)
        starts = np.array([max(0, period.start_minute) for period in periods if period is not None], dtype=np.int64)
        keys, added = group(pack(owner[inside], starts), sums[inside])
        self.table.add(keys, np.concatenate([added, np.zeros((len(added), 1), np.int64)], axis=1))
        return keys

    def prune(self, watermark_us: int | None) -> None:
        """Let go of periods that are over for good. Looked for once a day of event time: a row costs little."""
        day = None if watermark_us is None else watermark_us // (1_440 * MINUTE_US)
        if day != self._pruned_us:
            self._pruned_us = day
            self.table.drop(lambda keys: ~self.kept(keys, watermark_us))

    @staticmethod
    def floor(watermark_us: int | None) -> int:
        """The oldest period start, in minutes, that a total may have whose budget is not known."""
        return unknown_floor_minute(watermark_us)

    def set_fired(self, key: int, level: int, fired: bool) -> None:
        keys = np.array([key], dtype=np.uint64)
        row = self.table.get(keys)
        bit = 1 << level
        row[0, FIRED] = row[0, FIRED] | bit if fired else row[0, FIRED] & ~bit
        self.table.put(keys, row)

    def candidates(self, keys: np.ndarray, plan: Plan) -> np.ndarray:
        """Those of `keys` whose use has reached a level that has not fired, and those whose levels depend on when."""
        if not len(keys) or not plan.size:
            return keys[:0]
        number = (keys >> np.uint64(32)).astype(np.int64)
        known = number < plan.size
        keys, number = keys[known], number[known]
        sums = self.table.get(keys)
        amount = plan.used(number, sums)
        reached = amount[:, None] >= plan.levels[number]
        fired = (sums[:, FIRED, None] >> np.arange(len(LEVELS))) & 1
        due = ((reached & (fired == 0)).any(axis=1) | plan.varies[number]) & plan.active[number]
        found: np.ndarray = keys[due]
        return found


class Plan:
    """The home budgets of a shard as arrays by their number in `Totals`, and as records.

    `varies` tells which have exceptions: their levels depend on event time, so they are looked at one by one.
    `earlier`: the plan before, from which budgets whose document is the same are taken over.
    """

    def __init__(
        self,
        budgets: list[Budget],
        totals: Totals,
        varies: Callable[[str], bool] = lambda _: False,
        earlier: Plan | None = None,
    ) -> None:
        known = {} if earlier is None else earlier.numbers
        #: By id.
        self.numbers: dict[str, int] = {}
        same: list[int] = []
        for budget in budgets:
            number = known.get(budget.id)
            if number is not None and earlier is not None and earlier.by_number[number] is budget:
                same.append(number)
            else:
                number = totals.number(budget)
            self.numbers[budget.id] = number
        self.by_number: dict[int, Budget] = {self.numbers[budget.id]: budget for budget in budgets}
        self.size = max(self.by_number, default=-1) + 1
        self.weights = np.zeros((self.size, len(USED_MEASURES)), dtype=np.int64)
        self.levels = np.zeros((self.size, len(LEVELS)), dtype=np.int64)
        self.active = np.zeros(self.size, dtype=bool)
        self.varies = np.zeros(self.size, dtype=bool)
        if earlier is not None and same:
            self.weights[same], self.levels[same] = earlier.weights[same], earlier.levels[same]
        kept = set(same)
        for number, budget in self.by_number.items():
            if number not in kept:
                self.weights[number] = _WEIGHTS[budget.unit]
                self.levels[number] = [min(budget.level_units(level), NEVER_REACHED) for level in LEVELS]
            self.active[number] = True
            self.varies[number] = varies(budget.id)

    def used(self, numbers: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """int64[n]: what numbered budgets have used, each in its unit, from sums[n, ≥5]."""
        amounts: np.ndarray = (sums[:, : len(USED_MEASURES)] * self.weights[numbers]).sum(axis=1)
        return amounts

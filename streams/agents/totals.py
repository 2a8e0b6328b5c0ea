"""In: budget rows of a batch. Out: what every budget has used in each of its periods, and which levels have fired."""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.control.budgets import LEVELS, Budget, Unit
from streams.agents.batch import RULE_SEPARATOR, BudgetRows
from streams.agents.names import Names
from streams.agents.sums import SumTable, group_sorted, windows

#: Columns of a total: calls, tokens, cost and provisional cost in nano-USD, and a bit per level that has fired.
CALLS, TOKENS, COST, PROVISIONAL, FIRED = range(5)
_MINUTE_US: Final = 60_000_000
#: Totals are kept while their period began less than this ago: the running month, the one before, and one for late
#: rows.
_KEPT_MINUTES: Final = 100 * 1_440
_SLACK_MINUTES: Final = 5 * 1_440

#: Which columns make up what is used, by unit.
_WEIGHTS: Final[dict[Unit, tuple[int, int, int, int]]] = {
    "usd": (0, 0, 1, 1),
    "tokens": (0, 1, 0, 0),
    "calls": (1, 0, 0, 0),
}


def used(unit: Unit, sums: np.ndarray) -> np.ndarray:
    """int64[n] in the budget's unit from sums[n, ≥4]. Unpriced use is held at its stated provisional price."""
    amount: np.ndarray = sums[:, :4] @ np.array(_WEIGHTS[unit], dtype=np.int64)
    return amount


class Totals:
    """Sums keyed by (budget under a rule, start of its period in minutes)."""

    def __init__(self) -> None:
        self.table = SumTable(5)
        self.names = Names(1 << 32)

    def number(self, budget: Budget) -> int:
        return self.names.number(f"{budget.id}{RULE_SEPARATOR}{budget.rule}")

    def fold(self, rows: BudgetRows, watermark_us: int | None) -> np.ndarray:
        """Add the rows; the distinct keys that changed. Rows of periods long gone are left out."""
        keys, sums = group_sorted(rows.keys, rows.sums)
        kept = windows(keys) >= self.floor(watermark_us)
        keys, sums = keys[kept], sums[kept]
        self.table.add(keys, np.concatenate([sums, np.zeros((len(sums), 1), np.int64)], axis=1))
        return keys

    def prune(self, watermark_us: int | None) -> None:
        self.table.drop_before(self.floor(watermark_us), _SLACK_MINUTES)

    @staticmethod
    def floor(watermark_us: int | None) -> int:
        """The oldest period start kept, in minutes."""
        return 0 if watermark_us is None else max(0, watermark_us // _MINUTE_US - _KEPT_MINUTES)

    def set_fired(self, key: int, level: int, fired: bool) -> None:
        keys = np.array([key], dtype=np.uint64)
        row = self.table.get(keys)
        bit = 1 << level
        row[0, FIRED] = row[0, FIRED] | bit if fired else row[0, FIRED] & ~bit
        self.table.put(keys, row)

    def candidates(self, keys: np.ndarray, plan: Plan) -> np.ndarray:
        """Those of `keys` whose use has reached a level that has not fired."""
        if not len(keys) or not plan.size:
            return keys[:0]
        number = (keys >> np.uint64(32)).astype(np.int64)
        known = number < plan.size
        keys, number = keys[known], number[known]
        sums = self.table.get(keys)
        amount = (sums[:, :4] * plan.weights[number]).sum(axis=1)
        reached = amount[:, None] >= plan.levels[number]
        fired = (sums[:, FIRED, None] >> np.arange(len(LEVELS))) & 1
        due = (reached & (fired == 0) & plan.active[number, None]).any(axis=1)
        found: np.ndarray = keys[due]
        return found


class Plan:
    """The home budgets of a shard as arrays by their number in `Totals`, and as records."""

    def __init__(self, budgets: list[Budget], totals: Totals) -> None:
        self.by_number: dict[int, Budget] = {totals.number(budget): budget for budget in budgets}
        self.size = max(self.by_number, default=-1) + 1
        self.weights = np.zeros((self.size, 4), dtype=np.int64)
        self.levels = np.zeros((self.size, len(LEVELS)), dtype=np.int64)
        self.active = np.zeros(self.size, dtype=bool)
        for number, budget in self.by_number.items():
            self.weights[number] = _WEIGHTS[budget.unit]
            self.levels[number] = [_fits(budget.level_units(level)) for level in LEVELS]
            self.active[number] = True


def _fits(units: int) -> int:
    """A level beyond int64 can never be reached; the greatest int64 stands for it."""
    return min(units, 2**63 - 1)

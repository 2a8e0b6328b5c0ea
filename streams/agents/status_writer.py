"""In: the periods whose statuses are due, totals, how far counting has come. Out: records of the two status topics.

What they have in common is worked out once for all that one transaction writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from schemas.control.budgets import LEVELS, Budget, Level
from schemas.control.periods import BudgetPeriod, running_period
from schemas.status import Forecast
from streams.agents.counting import Counting
from streams.agents.exceptions.grants import Effective
from streams.agents.holdings import Holdings
from streams.agents.statuses import Counted, Figures, budget_status, status_record
from streams.agents.sums import pack
from streams.agents.totals import NEVER_REACHED, Totals

StatusRecord = tuple[str, bytes | None]
#: (budget as it holds, period, used) -> its forecast.
ForecastOf = Callable[[Budget, BudgetPeriod, int], Forecast | None]


class StatusWriter:
    """Of one shard. `forecast_of` says what becomes of a running period; replaced by whoever forecasts."""

    def __init__(self, holdings: Holdings, totals: Totals, counting: Counting) -> None:
        self._holdings, self._totals, self._counting = holdings, totals, counting
        self.forecast_of: ForecastOf = lambda _budget, _period, _used: None

    def write(self, due: Sequence[tuple[str, int]], counted: Counted) -> tuple[list[StatusRecord], list[StatusRecord]]:
        """Of (budget, period start): for the status topic, and for that of persons."""
        shared: list[StatusRecord] = []
        persons: list[StatusRecord] = []
        if not due:
            return shared, persons
        plan, home = self._holdings.plan, self._holdings.home
        numbers = np.array([plan.numbers[budget_id] for budget_id, _ in due], dtype=np.int64)
        periods = _periods([(home[budget_id], start_us) for budget_id, start_us in due])
        minutes = np.array([max(0, period.start_minute) for period in periods], dtype=np.int64)
        sums = self._totals.table.get(pack(numbers, minutes))
        amounts = plan.used(numbers, sums).tolist()
        levels = plan.levels[numbers].tolist()
        at_us = counted.now_us if counted.watermark_us is None else counted.watermark_us
        for at, (budget_id, start_us) in enumerate(due):
            budget, period = home[budget_id], periods[at]
            effective = self._holdings.grants.effective(budget, period, at_us)
            status = budget_status(
                effective,
                period,
                Figures(
                    self._totals.rule(int(numbers[at])), amounts[at], sums[at].tolist(), _levels(effective, levels[at])
                ),
                self._counting.reason(budget_id, start_us),
                counted,
                self._holdings.word(budget_id, start_us),
                self.forecast_of(effective.budget, period, amounts[at]),
            )
            (persons if budget.scope.is_personal else shared).append(status_record(status))
        return shared, persons


def _periods(due: Sequence[tuple[Budget, int]]) -> list[BudgetPeriod]:
    """The periods that start then: one calendar is asked once."""
    made: dict[tuple[object, ...], BudgetPeriod] = {}
    found: list[BudgetPeriod] = []
    for budget, start_us in due:
        key = (start_us, budget.period, budget.time_zone, budget.starts_at, budget.ends_at)
        period = made.get(key)
        if period is None:
            period = made[key] = running_period(budget, start_us)
        found.append(period)
    return found


def _levels(effective: Effective, planned: list[int]) -> dict[Level, int]:
    """Use at which each level begins: the document's own, unless an exception adds to it."""
    if effective.budget is effective.document and NEVER_REACHED not in planned:
        return dict(zip(LEVELS, planned, strict=True))
    return {level: effective.budget.level_units(level) for level in LEVELS}

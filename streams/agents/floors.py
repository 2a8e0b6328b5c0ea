"""In: budgets and where event time stands. Out: the oldest period of each that is still kept.

A period is kept until some time after its own end: late events and corrections still reach it, and a period that has
been let go of is never counted again, so no total is ever told that lacks its beginning. The floors move once a day of
event time, with the message that passes it, whatever batch it came in.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Period
from schemas.control.periods import MINUTE_US, period_of

DAY_US: Final = 1_440 * MINUTE_US
#: How long after its end a period is kept. Short periods are many: an hour's budget holds at most 72 of them, a day's
#: 15, a week's 6, a month's 4.
KEPT_AFTER_END_US: Final[dict[Period, int]] = {
    "hour": 2 * DAY_US,
    "day": 14 * DAY_US,
    "week": 35 * DAY_US,
    "month": 69 * DAY_US,
    "quarter": 69 * DAY_US,
    "span": 69 * DAY_US,
}
#: Totals of budgets that nobody knows any more, or not yet, are kept while their period began less than this ago.
_KEPT_UNKNOWN_US: Final = 100 * DAY_US
#: No period starts as late as this: nothing is kept.
_NOTHING: Final = 2**32


def floor_minute(budget: Budget, watermark_us: int | None) -> int:
    """The oldest period start of the budget that is kept, in minutes since the epoch."""
    if watermark_us is None:
        return 0
    at_us = _day(watermark_us) - KEPT_AFTER_END_US[budget.period]
    period = period_of(budget, at_us)
    if period is not None:
        return max(0, period.start_minute)
    # Outside of a span: it is all ahead, or all gone.
    assert budget.starts_at is not None
    return 0 if at_us < moment_us(budget.starts_at) else _NOTHING


def unknown_floor_minute(watermark_us: int | None) -> int:
    """As `floor_minute`, for a total whose budget is not known."""
    return 0 if watermark_us is None else max(0, (_day(watermark_us) - _KEPT_UNKNOWN_US) // MINUTE_US)


def is_over(budget: Budget, period_end_us: int, watermark_us: int | None) -> bool:
    """Whether a period that ends then is not kept any more."""
    return watermark_us is not None and period_end_us <= _day(watermark_us) - KEPT_AFTER_END_US[budget.period]


class Floors:
    """The floors of numbered budgets, worked out once a day and calendar."""

    def __init__(self, by_number: dict[int, Budget]) -> None:
        self._size = max(by_number, default=-1) + 1
        #: One budget for each calendar, and the numbers that share it.
        self._calendars: dict[tuple[object, ...], tuple[Budget, list[int]]] = {}
        for number, budget in by_number.items():
            calendar = (budget.period, budget.time_zone, budget.starts_at, budget.ends_at)
            self._calendars.setdefault(calendar, (budget, []))[1].append(number)
        self._at: int | None = None
        self._floors = np.zeros(self._size + 1, dtype=np.int64)

    def of(self, number: np.ndarray, watermark_us: int | None) -> np.ndarray:
        """int64[n] minutes, by the numbers of budgets."""
        day = None if watermark_us is None else _day(watermark_us)
        if day != self._at:
            self._at = day
            self._floors[:] = unknown_floor_minute(watermark_us)
            for budget, numbers in self._calendars.values():
                self._floors[numbers] = floor_minute(budget, watermark_us)
        found: np.ndarray = self._floors[np.minimum(number, self._size)]
        return found


def _day(us: int) -> int:
    return us // DAY_US * DAY_US

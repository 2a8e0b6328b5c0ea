"""In: cells of one workflow. Out: its hourly values per call, as logarithms, and what is usual for each hour.

The usual of an hour is the median of hours before at the same time of day, give or take one; where two weeks and more
are known, also of the same time of the week; and the greater of the two rules, so that what returns every night or
every Monday is no shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.reviews.questions import Cell

Measure = Literal["cost", "tokens"]

_DAY: Final = 24
_WEEK: Final = 168
#: Values that a median of one time of day, and of one time of the week, is made of at least.
_LEAST_DAILY: Final = 3
_LEAST_WEEKLY: Final = 6


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours with enough calls, in order: `at[n]` in hours since the epoch, `logs[n]` of the measure per call."""

    at: np.ndarray
    logs: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def within(self, first: int, until: int) -> np.ndarray:
        """Which of them lie in [first, until)."""
        inside: np.ndarray = (self.at >= first) & (self.at < until)
        return inside


def hourly(cells: Sequence[Cell], measure: Measure, least_calls: int) -> Hours:
    """Hours with `least_calls` whose measure is above zero."""
    if not cells:
        return Hours(np.zeros(0, np.int64), np.zeros(0))
    hour = np.array([cell.hour for cell in cells], np.int64)
    calls = np.array([cell.calls for cell in cells], np.float64)
    if measure == "cost":
        amount = np.array([cell.cost for cell in cells], np.float64)
    else:
        amount = np.array([cell.input_tokens + cell.output_tokens for cell in cells], np.float64)
    at, group = np.unique(hour, return_inverse=True)
    calls_of, amount_of = np.bincount(group, calls), np.bincount(group, amount)
    enough = (calls_of >= least_calls) & (amount_of > 0)
    return Hours(at[enough], np.log(amount_of[enough] / calls_of[enough]))


def usual(hours: Hours, before: np.ndarray) -> np.ndarray:
    """The usual logarithm of each hour, known from the hours that `before` (a mask with at least one hour) names."""
    at, logs = hours.at[before], hours.logs[before]
    whole = float(np.median(logs))
    of_day = _medians(at % _DAY, logs, _DAY, _LEAST_DAILY)
    of_week = _medians(at % _WEEK, logs, _WEEK, _LEAST_WEEKLY)
    daily = np.where(np.isnan(of_day), whole, of_day)[hours.at % _DAY]
    weekly = np.where(np.isnan(of_week), -np.inf, of_week)[hours.at % _WEEK]
    higher: np.ndarray = np.maximum(daily, weekly)
    return higher


def noise(residuals: np.ndarray) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))


def _medians(slot: np.ndarray, logs: np.ndarray, slots: int, least: int) -> np.ndarray:
    """Median by slot of a circle, with its two neighbours; NaN with fewer than `least` values."""
    near = np.concatenate([(slot - 1) % slots, slot, (slot + 1) % slots])
    values = np.tile(logs, 3)[np.lexsort((np.tile(logs, 3), near))]
    counts = np.bincount(near, minlength=slots)
    enough = counts >= least
    first = (np.cumsum(counts) - counts)[enough]
    found = np.full(slots, np.nan)
    found[enough] = (values[first + (counts[enough] - 1) // 2] + values[first + counts[enough] // 2]) / 2
    return found

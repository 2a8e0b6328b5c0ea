"""In: hourly values of one workflow. Out: whether, since when and how they have shifted upwards.

A step: the split into before and after that leaves the least absolute deviation from the two medians; what comes after
is compared with what was usual at that time before, hour by hour. A drift: weeks that rise one after another, with no
day on which most of it happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heappushpop
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from streams.agents.reviews.hours import Hours, noise, usual
from streams.agents.reviews.policy import ReviewPolicy

Shape = Literal["step", "drift"]

#: A step may lie so far back; what is older is usual.
_STEP_HOURS: Final = 14 * 24
#: A drift is judged over so long, from its first week to its last three days.
_DRIFT_HOURS: Final = 28 * 24
_WEEK: Final = 168
_LAST_HOURS: Final = 72
#: Hours with enough calls that must lie before a step.
_LEAST_BEFORE: Final = 36
#: Of the rise, the part that lies between the day before the split and the day after it, of a step.
_SUDDEN: Final = 0.6
#: Of the hours after a step, the part that must stand above half of the ratio.
_STEADY: Final = 0.75
#: Standard deviations of single hours that a rise must exceed.
_SIGMAS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Shift:
    """`ratio`: the measure per call by what is usual. `since_hour`: the first hour of it, since the epoch."""

    shape: Shape
    since_hour: int
    ratio: float


def find_shift(hours: Hours, until_hour: int, policy: ReviewPolicy) -> Shift | None:
    """The rise that still stands at `until_hour`; None: there is none."""
    seen = hours.within(until_hour - _STEP_HOURS - _DRIFT_HOURS, until_hour)
    known = Hours(hours.at[seen], hours.logs[seen])
    return _step(known, until_hour, policy) or _drift(known, until_hour, policy)


def split(logs: np.ndarray, first: int, last: int) -> int:
    """Where to cut: n in [first, last] for which logs[:n] and logs[n:] lie nearest to their medians."""
    left, right = deviations(logs.tolist()), deviations(logs[::-1].tolist())[::-1]
    return min(range(first, last + 1), key=lambda at: (round(left[at] + right[at], 9), at))


def deviations(values: Sequence[float]) -> list[float]:
    """For each n from 0 on, the sum of the absolute deviations of the first n values from their median.

    Two heaps hold the lower and the upper half: what lies above the median less what lies below it is that sum.
    """
    lower: list[float] = []
    upper: list[float] = []
    below = above = 0.0
    found = [0.0]
    for value in values:
        if lower and value < -lower[0]:
            moved = -heappushpop(lower, -value)
            below += value - moved
        else:
            moved = value
        heappush(upper, moved)
        above += moved
        if len(upper) > len(lower) + 1:
            moved = heappop(upper)
            heappush(lower, -moved)
            above, below = above - moved, below + moved
        found.append(above - below - (upper[0] if len(upper) > len(lower) else 0.0))
    return found


def rise_now(hours: Hours, since_hour: int, until_hour: int, least_hours: int) -> float | None:
    """How many times what was usual before `since_hour` its last day stands at; None: not enough hours."""
    before = hours.within(since_hour - _DRIFT_HOURS, since_hour)
    lately = hours.within(max(since_hour, until_hour - 24), until_hour)
    if not before.any() or lately.sum() < least_hours:
        return None
    return math.exp(float(np.median((hours.logs - usual(hours, before))[lately])))


def _step(hours: Hours, until_hour: int, policy: ReviewPolicy) -> Shift | None:
    least = math.log(policy.ratio)
    first = max(_LEAST_BEFORE, int(np.searchsorted(hours.at, until_hour - _STEP_HOURS)))
    last = len(hours) - policy.least_hours
    if last < first or not _is_recent(hours, until_hour):
        return None
    at = split(hours.logs, first, last)
    # Once more on what is left when the usual of the time of day and week is taken away.
    at = split(hours.logs - usual(hours, np.arange(len(hours)) < at), first, last)
    before = np.arange(len(hours)) < at
    if hours.at[at] - hours.at[0] < policy.history_days * 24:
        return None
    residuals = hours.logs - usual(hours, before)
    after, was = residuals[at:], residuals[:at]
    rise = float(np.median(after))
    lately = float(np.median(residuals[-policy.least_hours :]))
    sudden = float(np.median(after[:24]) - np.median(was[-24:]))
    if (
        min(rise, lately) < least
        or rise < _SIGMAS * noise(was)
        or float(np.mean(after > least / 2)) < _STEADY
        or sudden < _SUDDEN * rise
    ):
        return None
    return Shift("step", int(hours.at[at]), math.exp(rise))


def _drift(hours: Hours, until_hour: int, policy: ReviewPolicy) -> Shift | None:
    first_hour = until_hour - _DRIFT_HOURS
    start = hours.within(first_hour, first_hour + _WEEK)
    lately = hours.within(until_hour - _LAST_HOURS, until_hour)
    if start.sum() < _LEAST_BEFORE or lately.sum() < policy.least_hours or not _is_recent(hours, until_hour):
        return None
    residuals = hours.logs - usual(hours, start)
    weeks = [residuals[hours.within(first, first + _WEEK)] for first in range(first_hour, until_hour, _WEEK)]
    if any(len(week) < _LEAST_BEFORE for week in weeks):
        return None
    levels = [float(np.median(week)) for week in weeks]
    rise = float(np.median(residuals[lately]))
    step = max(later - earlier for earlier, later in pairwise(levels))
    if (
        rise < math.log(policy.ratio)
        or rise < _SIGMAS * noise(residuals[start])
        or any(later < earlier for earlier, later in pairwise(levels))
        or levels[-1] - levels[0] < rise / 2
        or step > _SUDDEN * rise
    ):
        return None
    return Shift("drift", _began(hours, residuals, first_hour, rise), math.exp(rise))


def _began(hours: Hours, residuals: np.ndarray, first_hour: int, rise: float) -> int:
    """The day after the last one that was within a tenth of the rise of where it began; a week on at the least."""
    began = first_hour + _WEEK
    for day in range(began, int(hours.at[-1]), 24):
        of_day = residuals[hours.within(day, day + 24)]
        if len(of_day) >= 3 and float(np.median(of_day)) < 0.1 * rise:
            began = day + 24
    return began // 24 * 24


def _is_recent(hours: Hours, until_hour: int) -> bool:
    """A workflow that has stopped is no news."""
    return len(hours) > 0 and until_hour - int(hours.at[-1]) <= 24

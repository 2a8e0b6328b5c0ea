"""In: memories of budgets at one moment of one time zone. Out: their usual week, and how use stands to it now, told in
four ways.

The days that are held stand against what the hour-of-week shape says of them, so that weekends, days off and the
ends of months are not mistaken for a fall or a rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from streams.agents.forecast.local_time import DAY_HOURS, weekdays
from streams.agents.forecast.memory import AHEAD, DAYS, WAYS

#: Days after which a day counts half, by way. The last way is the second with its growth.
_HALF_LIVES: Final = (2.0, 7.0, 21.0)
_WEIGHTS: Final = np.stack([0.5 ** (np.arange(DAYS + 1) / half) for half in _HALF_LIVES], axis=1).astype(np.float32)
_BASE_WAY: Final = 1
#: Weight of "as usual" against the days, in days.
_PRIOR_DAYS: Final = 0.5
#: Growth per week beyond this is taken for a step.
_STEEPEST: Final = 0.25
#: Weeks within which growth is expected to wear off.
_DAMPING_WEEKS: Final = 6.0
#: How sharply the ways that were nearer are preferred.
_PREFERENCE: Final = 2.0
_LAST_DAYS: Final = 3
#: Square of the difference at a month's end that is believed by half.
_MONTH_END_DOUBT: Final = 0.1
#: Weight of the doubt in a growth that is seen.
_GROWTH_DOUBT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Level:
    """For n budgets: use by weekday[n, 7] and of the mean day[n] as the shape has it, use over shape by way[n, WAYS],
    growth by week[n], the weight of each way[n, WAYS].
    """

    weekday: np.ndarray
    mean_day: np.ndarray
    ratio: np.ndarray
    growth: np.ndarray
    weight: np.ndarray

    def times(self, ahead_days: np.ndarray) -> np.ndarray:
        """float64[n, WAYS]: what usual use so many days ahead has to be multiplied with."""
        ratio = self.ratio.copy()
        ratio[:, WAYS - 1] *= grown(self.growth, ahead_days)
        return ratio


def grown(growth: np.ndarray, ahead_days: np.ndarray) -> np.ndarray:
    """Damped growth: exp(g · T(1 - e^(-t/T))) after t weeks."""
    weeks = _DAMPING_WEEKS * (1 - np.exp(-ahead_days / 7 / _DAMPING_WEEKS))
    found: np.ndarray = np.exp(growth * weeks)
    return found


def is_month_end(days: np.ndarray) -> np.ndarray:
    """Which local days are among the last three of a month."""
    return np.array([_is_last(day) for day in days.tolist()], dtype=bool)


@lru_cache(maxsize=4_096)
def _is_last(day: int) -> bool:
    local = date(1970, 1, 1) + timedelta(days=day)
    return (local + timedelta(days=_LAST_DAYS)).month != local.month


def month_end(rows: np.ndarray) -> np.ndarray:
    """What the last days of a month have to be multiplied with; small differences are taken for chance."""
    seen = rows["month_end"].astype(np.float64)
    found: np.ndarray = 1 + seen * seen**2 / (seen**2 + _MONTH_END_DOUBT)
    return found


def level_of(rows: np.ndarray, day: int, whole_days: np.ndarray, today_usual: np.ndarray | None = None) -> Level:
    """`day` is the running local day, of which `today_usual` would have been used by now (None: it has not begun);
    `whole_days` lie between the first use and its midnight.
    """
    weekday = rows["shape"].reshape(-1, 7, DAY_HOURS).sum(axis=2, dtype=np.float32)
    mean_day = np.maximum(weekday.mean(axis=1), 1e-6)
    past = day - np.arange(1, DAYS + 1)
    known = np.arange(1, DAYS + 1) <= whole_days[:, None]
    usual = weekday[:, weekdays(past)]
    usual[:, is_month_end(past)] *= month_end(rows)[:, None]
    usual *= known
    use = rows["days"][:, past % DAYS].astype(np.float32) * known
    top, bottom = use @ _WEIGHTS[1:], usual @ _WEIGHTS[1:]
    if today_usual is not None:
        top += rows["today"][:, None]
        bottom += today_usual[:, None]
    prior = (_PRIOR_DAYS * mean_day)[:, None]
    base = (top + prior) / (bottom + prior)
    growth = _growth(use, usual, whole_days, mean_day)
    # The second way looks back on the middle of what it weighs; growth carries it to now.
    lag = _HALF_LIVES[_BASE_WAY] / np.log(2)
    ratio = np.empty((len(rows), WAYS))
    ratio[:, : WAYS - 1] = base
    ratio[:, WAYS - 1] = base[:, _BASE_WAY] * np.exp(growth * np.minimum(lag, whole_days / 2) / 7)
    return Level(weekday, mean_day, ratio, growth, way_weights(rows))


def way_weights(rows: np.ndarray) -> np.ndarray:
    """The ways by how near they were: float64[n, WAYS], each row adds up to one."""
    error = rows["off_week"].astype(np.float64) + 0.002
    nearness = (error.min(axis=1, keepdims=True) / error) ** _PREFERENCE
    # Until errors are known, all ways count alike.
    trust = np.minimum(rows["weeks_told"] / (2 * AHEAD), 1)[:, None]
    nearness = trust * nearness + (1 - trust)
    found: np.ndarray = nearness / nearness.sum(axis=1, keepdims=True)
    return found


def _growth(use: np.ndarray, usual: np.ndarray, whole_days: np.ndarray, mean_day: np.ndarray) -> np.ndarray:
    """Growth of the logarithm per week by regression over the weeks held, shrunk by how surely it is seen."""
    weeks = DAYS // AHEAD
    used = use.reshape(-1, weeks, AHEAD).sum(axis=2)
    expected = usual.reshape(-1, weeks, AHEAD).sum(axis=2)
    floor = 0.05 * AHEAD * mean_day[:, None]
    logs = np.log((used + floor) / (expected + floor))
    held = (np.arange(1, weeks + 1) * AHEAD <= whole_days[:, None]).astype(np.float64)
    count = held.sum(axis=1)
    x = -np.arange(weeks, dtype=np.float64) * held
    mean_x = x.sum(axis=1) / np.maximum(count, 1)
    mean_y = (logs * held).sum(axis=1) / np.maximum(count, 1)
    dx = (x - mean_x[:, None]) * held
    dy = (logs - mean_y[:, None]) * held
    spread = (dx * dx).sum(axis=1)
    slope = np.divide((dx * dy).sum(axis=1), spread, out=np.zeros(len(use)), where=spread > 0)
    rest = ((dy - slope[:, None] * dx) ** 2).sum(axis=1) / np.maximum(count - 2, 1) + 0.001
    doubt = np.divide(rest, spread, out=np.ones(len(use)), where=spread > 0)
    shrunk = slope * slope**2 / (slope**2 + _GROWTH_DOUBT * doubt)
    found: np.ndarray = np.where(count >= 3, np.clip(shrunk, -_STEEPEST, _STEEPEST), 0)
    return found

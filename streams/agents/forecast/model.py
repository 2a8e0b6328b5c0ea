"""In: memories and the hours that are left of a period. Out: mean and variation of what those hours will use.

mean     = rest of today + Σ over later hours of shape · level, the level by whichever way was nearer of late, with
           damped growth and the usual end of a month;
variance = what days differ by themselves, which averages out over days, and how far the level was off a week ahead,
           which grows with the horizon. Both are measured on this budget's own past forecasts and drawn towards what
           is usual for budgets while there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.forecast.level import grown, is_month_end, level_of, month_end
from streams.agents.forecast.local_time import DAY_HOURS, WEEK_HOURS, hours_of_week, local_days
from streams.agents.forecast.memory import AHEAD, WAYS
from streams.agents.forecast.today import rest_of_today


@dataclass(frozen=True, slots=True)
class Tuning:
    """Figures that were fitted on simulated fleets (benchmarks/bench_forecast.py --tune), never on those reported."""

    part: float = 0.93
    day: float = 1.09
    week: float = 0.65
    drift: float = 0.94
    floor: float = 0.0002
    usual_part: float = 0.043
    usual_day: float = 0.081
    usual_week: float = 0.0086
    own_days: float = 1.4
    tail: float = 0.47


TUNED: Final = Tuning()


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of periods with one end in one zone: hours by hour of the week, as weights."""

    day: int
    gone: np.ndarray
    today: np.ndarray
    later: np.ndarray
    #: The same, each hour times the days until it comes.
    later_days: np.ndarray
    month_end: np.ndarray
    days: float

    @staticmethod
    def of(zone: str, hour: int, end_us: int) -> Rest:
        """From the start of `hour` (UTC hours since the epoch) to the instant `end_us`."""
        hour_us = 3_600_000_000
        last = -(-end_us // hour_us)
        hours = np.arange(hour, max(last, hour + 1), dtype=np.int64)
        share = np.clip((end_us - hours * hour_us) / hour_us, 0, 1)
        days, week_hours = local_days(zone, hours), hours_of_week(zone, hours)
        running = int(days[0])
        past = np.arange(hour - 26, hour, dtype=np.int64)
        past = past[local_days(zone, past) == running]
        now = days == running
        ahead = (hours - hour) / DAY_HOURS
        later = share * ~now

        def by_week(weights: np.ndarray) -> np.ndarray:
            return np.bincount(week_hours, weights, WEEK_HOURS)

        return Rest(
            running,
            np.bincount(hours_of_week(zone, past), minlength=WEEK_HOURS).astype(np.float64),
            by_week(share * now),
            by_week(later),
            by_week(later * ahead),
            by_week(later * is_month_end(days)),
            float((end_us - hour * hour_us) / hour_us / DAY_HOURS),
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """Mean of the remaining use, in the budget's unit, and its squared coefficient of variation; float64[n]."""

    mean: np.ndarray
    variation: np.ndarray


def outlook(rows: np.ndarray, hour: int, rest: Rest, tuning: Tuning = TUNED) -> Outlook:
    """What budgets will use in the rest of their period, as known at the start of `hour`."""
    shape = rows["shape"].astype(np.float32)
    weights = np.stack([rest.gone, rest.today, rest.later, rest.later_days, rest.month_end], axis=1).astype(np.float32)
    gone, today, later, later_days, last_days = (shape @ weights).T.astype(np.float64)
    whole_days = np.maximum(hour - rows["first"] - int(rest.gone.sum()), 0) // DAY_HOURS
    level = level_of(rows, rest.day, whole_days, gone)
    ahead = np.divide(later_days, later, out=np.zeros(len(rows)), where=later > 0)
    times = level.ratio.copy()
    times[:, WAYS - 1] *= grown(level.growth, ahead)
    usual = (level.weight * times).sum(axis=1)
    near = rest_of_today(rows, level, gone, today)
    far = (later + last_days * (month_end(rows) - 1)) * usual
    mean = near + far
    variation = _variation(rows, level.mean_day * usual, near, far, level.weight, rest.days, tuning)
    return Outlook(mean * rows["scale"], variation)


def _variation(
    rows: np.ndarray,
    mean_day: np.ndarray,
    near: np.ndarray,
    far: np.ndarray,
    weight: np.ndarray,
    days: float,
    tuning: Tuning,
) -> np.ndarray:
    told = rows["weeks_told"].astype(np.float64)
    trust = told / (told + tuning.own_days)

    def drawn(own: np.ndarray, usual: float) -> np.ndarray:
        found: np.ndarray = trust * own + (1 - trust) * usual
        return found

    part = tuning.part * drawn(rows["off_part"], tuning.usual_part)
    day = tuning.day * drawn(rows["off_day"], tuning.usual_day)
    week = drawn((weight * rows["off_week"]).sum(axis=1), tuning.usual_week)
    level = tuning.week * np.maximum(week - day / AHEAD, 0.25 * week) + tuning.floor
    drift = (max(days, 1.0) / AHEAD) ** tuning.drift
    # The rest of a day was measured from its middle; a whole one errs as days do, its last hours less.
    left = np.divide(near, mean_day, out=np.zeros(len(rows)), where=mean_day > 0)
    early = np.clip(2 * left - 1, 0, 1)
    own = (early * day + (1 - early) * part) * np.clip(2 * left, 0.01, 1) ** tuning.tail
    variance = own * near * mean_day + day * far * mean_day + level * drift * far**2
    mean = near + far
    found: np.ndarray = np.divide(variance, mean**2, out=np.full(len(rows), 1.0), where=mean > 0)
    return found

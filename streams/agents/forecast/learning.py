"""In: what every budget used in one closed hour. Out: memories that have learnt it.

Hours come in order, each once, zeros for the silent; all functions work on all budgets of one time zone at once. What
an earlier forecast said is held against what came before anything is learnt from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.forecast.level import is_month_end, level_of, month_end
from streams.agents.forecast.local_time import (
    DAY_HOURS,
    WEEK_HOURS,
    hours_of_week,
    local_days,
    off_days,
    weekdays,
)
from streams.agents.forecast.memory import AHEAD, DAYS
from streams.agents.forecast.today import rest_of_today

#: What the newest week counts in the shape, at least.
_LEAST_PACE: Final = 0.25
#: An hour teaches the shape at most this many times what is usual then; the level takes it whole.
_MOST_TAUGHT: Final = 8.0
#: Errors are averaged over about so many days.
_DAYS_OF_ERRORS: Final = 42
#: The rest of a day is told once this part of its use is usual to have come.
_PART: Final = 0.4
_LARGEST_ERROR: Final = 16.0
#: More than this in one hour, in scales, and the scale is changed: half precision ends at 65,504.
_TOO_MANY: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class LocalHour:
    """One UTC hour on the clocks of a zone; `last`: the next one belongs to another day."""

    hour: int
    week_hour: int
    day: int
    off: bool
    last: bool

    @staticmethod
    def of(zone: str, hour: int) -> LocalHour:
        hours = np.array([hour, hour + 1], dtype=np.int64)
        days = local_days(zone, hours)
        week_hour, off = int(hours_of_week(zone, hours)[0]), bool(off_days(days)[0])
        return LocalHour(hour, week_hour, int(days[0]), off, bool(days[1] != days[0]))


def learn(rows: np.ndarray, at: LocalHour, amounts: np.ndarray) -> None:
    """Take in amounts[n] of one hour, in the budgets' units, below zero as none."""
    amounts = np.maximum(amounts.astype(np.float64), 0)
    begun = (rows["first"] < 0) & (amounts > 0)
    if begun.any():
        rows["first"][begun], rows["scale"][begun] = at.hour, amounts[begun]
        rows["tomorrow"][begun] = rows["part"][begun, 0] = -1
    known = rows["first"] >= 0
    use = np.divide(amounts, rows["scale"], out=np.zeros(len(rows)), where=known)
    if (large := use > _TOO_MANY).any():
        _rescale(rows, large, use)
        use[large] = 1
    rows["today"] += use.astype(np.float32)
    if not at.off:
        _teach(rows, at, use, known)
    _tell_rest(rows, at)
    if at.last and known.any():
        some = rows[known]
        _turn(some, at.hour + 1, at.day)
        rows[known] = some


def _teach(rows: np.ndarray, at: LocalHour, use: np.ndarray, known: np.ndarray) -> None:
    weeks = (at.hour - rows["first"]) // WEEK_HOURS
    usual = rows["shape"][:, at.week_hour].astype(np.float64)
    old = weeks >= 2
    most = _MOST_TAUGHT * np.maximum(usual, rows["shape"].mean(axis=1, dtype=np.float32)) if old.any() else use
    taught = np.where(old, np.minimum(use, most), use)
    pace = np.maximum(1 / (weeks + 1), _LEAST_PACE)
    rows["shape"][:, at.week_hour] = np.where(known, usual + pace * (taught - usual), 0)


def _tell_rest(rows: np.ndarray, at: LocalHour) -> None:
    """Write down, once a day, what the rest of it is expected to be."""
    weekday, hour = divmod(at.week_hour, DAY_HOURS)
    day = rows["shape"][:, weekday * DAY_HOURS : (weekday + 1) * DAY_HOURS]
    gone, whole = day[:, : hour + 1].sum(axis=1, dtype=np.float32), day.sum(axis=1, dtype=np.float32)
    due = (rows["part"][:, 0] < 0) & (whole > 0) & (gone >= _PART * whole) & (gone < 0.9 * whole)
    due &= (rows["first"] >= 0) & (at.hour - rows["first"] >= WEEK_HOURS + DAY_HOURS)
    if due.any():
        some = rows[due]
        level = level_of(some, at.day, (at.hour + 1 - some["first"]) // DAY_HOURS, gone[due])
        some["part"][:, 0] = some["today"]
        some["part"][:, 1] = rest_of_today(some, level, gone[due], whole[due] - gone[due])
        rows[due] = some


def _rescale(rows: np.ndarray, which: np.ndarray, factor: np.ndarray) -> None:
    some, by = rows[which], factor[which]
    for name in ("shape", "days"):
        some[name] = some[name].astype(np.float64) / by[:, None]
    some["told"] = some["told"].astype(np.float64) / by[:, None, None]
    some["today"] /= by
    some["tomorrow"] = np.where(some["tomorrow"] < 0, -1, some["tomorrow"] / by)
    some["part"] = np.where(some["part"] < 0, -1, some["part"] / by[:, None])
    some["scale"] *= by
    rows[which] = some


def _turn(rows: np.ndarray, hour: int, day: int) -> None:
    """The day is over when `hour` begins: hold it against what was expected, keep it, tell what is expected next."""
    rows["days"][:, day % DAYS] = rows["today"]
    whole_days = (hour - rows["first"]) // DAY_HOURS
    _weigh_errors(rows, day, whole_days)
    level = level_of(rows, day + 1, whole_days)
    if is_month_end(np.array([day]))[0] and not is_month_end(np.array([day + 1]))[0]:
        _learn_month_end(rows, day, level.ratio[:, 1] * level.weekday[:, weekdays(day - np.arange(3))].sum(axis=1))
    following = day + 1 + np.arange(AHEAD)
    usual = level.weekday[:, weekdays(following)]
    usual[:, is_month_end(following)] *= month_end(rows)[:, None]
    ready = whole_days >= AHEAD
    week = usual.sum(axis=1)[:, None] * level.times(np.full(len(rows), AHEAD / 2))
    rows["told"][:, day % AHEAD] = np.where(ready[:, None], np.minimum(week, 6e4), -1)
    best = (level.weight * level.ratio).sum(axis=1)
    rows["tomorrow"] = np.where(ready, best * usual[:, 0], -1)
    rows["part"] = -1
    rows["today"] = 0
    usual_hour = level.mean_day / DAY_HOURS
    astray = (usual_hour > 8) | ((usual_hour < 0.125) & (usual_hour > 1e-4))
    if astray.any():
        _rescale(rows, astray, usual_hour)


def _weigh_errors(rows: np.ndarray, day: int, whole_days: np.ndarray) -> None:
    mean_day = np.maximum(rows["shape"].sum(axis=1, dtype=np.float32) / 7, 1e-6)
    seen = np.maximum(whole_days - AHEAD, 1)
    pace = np.maximum(1 / seen, 1 / _DAYS_OF_ERRORS)

    def note(name: str, actual: np.ndarray, told: np.ndarray) -> None:
        error = np.minimum((actual - told) ** 2 / np.maximum(told * mean_day, 1e-9), _LARGEST_ERROR)
        rows[name] = np.where(told > 0, rows[name] + pace * (error - rows[name]), rows[name])

    note("off_day", rows["today"], rows["tomorrow"])
    note("off_part", rows["today"] - rows["part"][:, 0], rows["part"][:, 1])
    told = rows["told"][:, day % AHEAD].astype(np.float64)
    sure = (whole_days >= 2 * AHEAD) & (told[:, 0] >= 0)
    week = rows["days"][:, (day - np.arange(AHEAD)) % DAYS].sum(axis=1, dtype=np.float32)[:, None]
    error = np.minimum(((week - told) / np.maximum(told, 0.05 * AHEAD * mean_day[:, None])) ** 2, 4.0)
    count = rows["weeks_told"] + sure
    share = np.maximum(1 / np.maximum(count, 1), 1 / _DAYS_OF_ERRORS)[:, None]
    rows["off_week"] = np.where(sure[:, None], rows["off_week"] + share * (error - rows["off_week"]), rows["off_week"])
    rows["weeks_told"] = count


def _learn_month_end(rows: np.ndarray, day: int, usual: np.ndarray) -> None:
    use = rows["days"][:, (day - np.arange(3)) % DAYS].sum(axis=1, dtype=np.float32)
    seen = np.divide(use, usual, out=np.ones(len(rows)), where=usual > 0)
    rows["month_end"] += (np.clip(seen, 0.25, 5) - 1 - rows["month_end"]) / 3

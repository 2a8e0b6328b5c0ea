"""In: hours since the epoch (UTC). Out: hour of the week, day and weekday on the clocks of a time zone, as columns.

A UTC hour belongs to the local hour in which it begins: in a zone that is half an hour off, that shifts a shape by half
an hour, in learning and in forecasting alike.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

DAY_HOURS: Final = 24
WEEK_HOURS: Final = 168
HOUR_US: Final = 3_600_000_000
SUNDAY: Final = 6
#: Month and day of days off nearly everywhere: they are held against Sundays. Others differ by country and widen the
#: interval instead.
_DAYS_OFF: Final = frozenset({(1, 1), (12, 25), (12, 26)})
#: Hours whose offsets are worked out in one go: six weeks.
_BLOCK: Final = 1_008


@lru_cache(maxsize=512)
def _offsets(zone: str, block: int) -> np.ndarray:
    """Seconds east of UTC at the start of each hour of a block."""
    place = ZoneInfo(zone)
    start = datetime.fromtimestamp(block * _BLOCK * 3_600, UTC)
    found = [(start + timedelta(hours=hour)).astimezone(place).utcoffset() or timedelta() for hour in range(_BLOCK)]
    offsets = np.array([offset.total_seconds() for offset in found], dtype=np.int64)
    offsets.setflags(write=False)
    return offsets


def _local_seconds(zone: str, hours: np.ndarray) -> np.ndarray:
    blocks = hours // _BLOCK
    seconds = hours * 3_600
    for block in np.unique(blocks).tolist():
        own = blocks == block
        seconds[own] += _offsets(zone, block)[hours[own] - block * _BLOCK]
    return seconds


def local_days(zone: str, hours: np.ndarray) -> np.ndarray:
    """Days since the epoch on local calendars."""
    found: np.ndarray = _local_seconds(zone, hours) // 86_400
    return found


def weekdays(days: np.ndarray) -> np.ndarray:
    """0 Monday to 6 Sunday, which common days off count as."""
    found: np.ndarray = (days + 3) % 7
    for at in np.flatnonzero(off_days(days)).tolist():
        found[at] = SUNDAY
    return found


def off_days(days: np.ndarray) -> np.ndarray:
    """Which local days are off nearly everywhere."""
    return np.array([_is_off(day) for day in days.tolist()], dtype=bool)


@lru_cache(maxsize=4_096)
def _is_off(day: int) -> bool:
    local = date(1970, 1, 1) + timedelta(days=day)
    return (local.month, local.day) in _DAYS_OFF


def hours_of_week(zone: str, hours: np.ndarray) -> np.ndarray:
    """0 is Monday 00:00 to 01:00 local time, 167 Sunday 23:00 to 24:00."""
    seconds = _local_seconds(zone, hours)
    days, which = np.unique(seconds // 86_400, return_inverse=True)
    found: np.ndarray = weekdays(days)[which] * DAY_HOURS + seconds % 86_400 // 3_600
    return found

"""In: a number of weeks. Out: five-minute buckets from a Monday on, and the local time and kind of day of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

BUCKET_MINUTES: Final = 5
DAY: Final = 24 * 60 // BUCKET_MINUTES
WEEK: Final = 7 * DAY
#: Monday; two zones change their clocks within eight weeks of it.
START: Final = datetime(2026, 2, 2, tzinfo=UTC)
START_MINUTE: Final = int(START.timestamp()) // 60
#: Zones, and the days (from the start) on which the people of each have a holiday.
ZONES: Final[dict[str, tuple[int, ...]]] = {
    "Europe/Berlin": (32, 53),
    "America/New_York": (14, 44),
    "Asia/Kolkata": (30, 47),
    "America/Los_Angeles": (14, 44),
    "Asia/Tokyo": (9, 46),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Of each bucket: local hour with its fraction[n], local day from 0[n], 1.0 on a working day[n]."""

    hour: np.ndarray
    day: np.ndarray
    working: np.ndarray
    holiday: np.ndarray


@cache
def place(zone: str, weeks: int) -> Place:
    """Local time of every bucket. Clock changes are the zone's own."""
    at = ZoneInfo(zone)
    hours = [(START + timedelta(hours=hour)).astimezone(at) for hour in range(weeks * 7 * 24)]
    first = hours[0].date()
    half = np.array([moment.hour + moment.minute / 60 for moment in hours])
    steps = np.arange(12) / 12
    hour = (half[:, None] + steps[None, :]).ravel()
    day = np.repeat([(moment.date() - first).days for moment in hours], 12)
    # A zone of half an hour turns its day within the hour.
    day = day + (hour >= 24)
    hour = hour % 24
    weekday = (first.weekday() + day) % 7
    holiday = np.isin(day, ZONES[zone])
    return Place(hour, day, ((weekday < 5) & ~holiday).astype(float), holiday)

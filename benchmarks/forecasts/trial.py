"""In: series of budgets. Out: forecasts and linear projections of their periods, beside what was used in the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.forecasts.fleet import Series
from streams.agents.forecast.gamma import Z90, quantile
from streams.agents.forecast.learning import LocalHour, learn
from streams.agents.forecast.memory import fresh
from streams.agents.forecast.model import TUNED, Rest, Tuning, outlook

#: Periods are looked at when these parts of them are over.
PARTS: Final = (0.25, 0.5, 0.75)
KINDS: Final = ("day", "week", "month", "quarter")
#: One day in so many is tried, so that days do not drown the rest.
_EVERY_DAY: Final = 9
_WARM_DAYS: Final = 29


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the budgets of a zone: in the hour `at`, of the period [start, end), in hours since the beginning."""

    kind: str
    part: float
    at: int
    start: int
    end: int


@dataclass(slots=True)
class Trial:
    """Results as columns: one row per budget, period and part."""

    regime: np.ndarray
    kind: np.ndarray
    part: np.ndarray
    actual: np.ndarray
    linear: np.ndarray
    p10: np.ndarray
    p50: np.ndarray
    p90: np.ndarray


def run(start: date, series: list[Series], tuning: Tuning = TUNED) -> Trial:
    """Feed every budget hour by hour and look at its periods as they pass."""
    epoch = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) // 3_600
    columns: dict[str, list[np.ndarray]] = defaultdict(list)
    for zone in sorted({one.zone for one in series}):
        own = [one for one in series if one.zone == zone]
        amounts = np.stack([one.amounts for one in own], axis=1)
        sums = np.concatenate([np.zeros((1, len(own)), np.int64), np.cumsum(amounts, axis=0)])
        regimes = np.array([one.regime for one in own])
        looks = defaultdict(list)
        for look in looks_of(zone, start, len(amounts)):
            looks[look.at].append(look)
        rows = fresh(len(own))
        for hour in range(len(amounts)):
            for look in looks[hour]:
                rest = Rest.of(zone, epoch + hour, (epoch + look.end) * 3_600_000_000)
                seen = outlook(rows, epoch + hour, rest, tuning)
                used = sums[hour] - sums[look.start]
                long = (rows["first"] >= 0) & (epoch + hour - rows["first"] >= 28 * 24)
                columns["regime"].append(regimes[long])
                columns["kind"].append(np.full(int(long.sum()), look.kind))
                columns["part"].append(np.full(int(long.sum()), look.part))
                columns["actual"].append((sums[look.end] - sums[look.start])[long].astype(float))
                columns["linear"].append(used[long] * ((look.end - look.start) / (hour - look.start)))
                for name, z in (("p10", -Z90), ("p50", 0.0), ("p90", Z90)):
                    columns[name].append((used + quantile(seen.mean, seen.variation, z))[long])
            learn(rows, LocalHour.of(zone, epoch + hour), amounts[hour])
    return Trial(**{name: np.concatenate(parts) for name, parts in columns.items()})


def looks_of(zone: str, start: date, hours: int) -> list[Look]:
    """All whole periods after the warm-up. Half-hour zones: by the hour that holds the turn of the period."""
    place = ZoneInfo(zone)
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)

    def hour_of(day: date) -> int:
        return round((datetime(day.year, day.month, day.day, tzinfo=place) - begin).total_seconds() / 3_600)

    found: list[Look] = []
    day = start + timedelta(days=_WARM_DAYS)
    number = 0
    while (first := hour_of(day)) < hours:
        number += 1
        ends = {}
        if number % _EVERY_DAY == 0:
            ends["day"] = day + timedelta(days=1)
        if day.weekday() == 0:
            ends["week"] = day + timedelta(days=7)
        if day.day == 1:
            ends["month"] = (day + timedelta(days=31)).replace(day=1)
            if day.month % 3 == 1:
                ends["quarter"] = (day + timedelta(days=95)).replace(day=1)
        for kind, until in ends.items():
            last = hour_of(until)
            if last < hours:
                found += [Look(kind, part, first + round((last - first) * part), first, last) for part in PARTS]
        day += timedelta(days=1)
    return found

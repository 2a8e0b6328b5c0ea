"""In: a regime and a seed. Out: what budgets used, hour by hour, from people, jobs and campaigns that do the using.

Nothing here is multiplicative noise on an hourly shape: people come and stay away, calls are counted, their costs have
heavy tails, jobs run or fail, campaigns come when they come. Amounts are whole micro-dollars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

DAYS: Final = 290
ZONES: Final = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC", "Australia/Adelaide")
REGIMES: Final = ("steady", "growing", "bursty", "weekly_batch", "launch", "small_team", "service", "month_end")


@dataclass(frozen=True, slots=True)
class Series:
    """Use of one budget by UTC hour from `start` on: int64[hours]."""

    regime: str
    zone: str
    amounts: np.ndarray


@dataclass(frozen=True, slots=True)
class _Place:
    """Local hour, local day (from 0) and date of each UTC hour of one zone."""

    hour: np.ndarray
    day: np.ndarray
    dates: list[date]

    @property
    def workdays(self) -> np.ndarray:
        return np.array([day.weekday() < 5 for day in self.dates], dtype=float)


def fleet(start: date, seed: int, per_regime: int) -> list[Series]:
    """`per_regime` budgets of every regime."""
    found: list[Series] = []
    places = {zone: _place(zone, start) for zone in ZONES}
    for number, regime in enumerate(REGIMES):
        random = np.random.default_rng([seed, number])
        for _ in range(per_regime):
            zone = ZONES[int(random.integers(len(ZONES)))]
            found.append(Series(regime, zone, np.rint(_MAKERS[regime](places[zone], random)).astype(np.int64)))
    return found


def _place(zone: str, start: date) -> _Place:
    at = datetime(start.year, start.month, start.day, tzinfo=UTC)
    local = [(at + timedelta(hours=hour)).astimezone(ZoneInfo(zone)) for hour in range(DAYS * 24)]
    first = local[0].date()
    days = np.array([(moment.date() - first).days for moment in local])
    dates = [first + timedelta(days=day) for day in range(int(days[-1]) + 1)]
    return _Place(np.array([moment.hour for moment in local]), days, dates)


def _days_off(place: _Place, random: np.random.Generator) -> np.ndarray:
    """Share of people at work by day: public holidays of an imagined country, bridge days, the end of the year."""
    work = np.ones(len(place.dates))
    own = {(int(random.integers(1, 13)), int(random.integers(1, 29))) for _ in range(8)}
    for at, day in enumerate(place.dates):
        if (day.month, day.day) in own or (day.month, day.day) in {(1, 1), (12, 25), (12, 26)}:
            work[at] = 0.08
        elif (day.month == 12 and day.day > 21) or (day.month == 1 and day.day < 5):
            work[at] = 0.5
        elif day.month in (7, 8):
            work[at] = 0.85
    return work


def _costs(counts: np.ndarray, mean: float, tail: float, random: np.random.Generator) -> np.ndarray:
    """Sum of `counts` costs with a given coefficient of variation, exactly distributed for gamma costs."""
    shape = 1 / tail**2
    sums: np.ndarray = np.where(counts > 0, random.gamma(np.maximum(counts, 1) * shape, mean / shape), 0.0)
    return sums


def _people(
    place: _Place,
    random: np.random.Generator,
    heads: np.ndarray,
    weekend: float,
    calls: float,
    tail: float,
    phase: float,
) -> np.ndarray:
    """`heads` people by day, each with hours, an appetite and days on which they do not turn up."""
    work = np.where(place.workdays > 0, _days_off(place, random), weekend)
    begins = random.normal(9, 1.0)
    length = random.uniform(7.5, 10)
    hour = np.arange(24)
    rhythm = np.clip(1.2 - np.abs((hour + 0.5 - begins - length / 2) / (length / 2)) ** 4, 0.01, 1)
    rhythm[12 if begins < 9 else 13] *= 0.6
    # What people work on changes every few weeks, and with it how much they ask.
    appetite = np.ones(len(place.dates))
    at = 0
    while at < len(appetite):
        until = at + int(random.integers(8, 45))
        appetite[at:until] = random.lognormal(-(phase**2) / 2, phase)
        at = until
    crowd = np.maximum(heads, 0)
    present = random.binomial(np.rint(crowd).astype(int), np.clip(0.85 * work, 0, 1))
    mood = random.gamma(30, 1 / 30, len(present))
    rate = (present * mood * appetite)[place.day] * rhythm[place.hour] * calls / rhythm.sum()
    return _costs(random.poisson(rate), 18_000 * random.lognormal(0, 0.4), tail, random)


def _steady(place: _Place, random: np.random.Generator) -> np.ndarray:
    heads = np.full(len(place.dates), random.integers(25, 300))
    return _people(place, random, heads, random.uniform(0.01, 0.12), random.uniform(15, 60), 1.5, 0.08)


def _growing(place: _Place, random: np.random.Generator) -> np.ndarray:
    days = np.arange(len(place.dates))
    most = random.integers(80, 600)
    if random.random() < 0.5:  # adoption that fills up
        heads = most / (1 + np.exp(-(days - random.uniform(60, 220)) / random.uniform(25, 60)))
    else:  # so many per cent a month, without an end yet
        heads = most / 6 * np.exp(days / 30 * random.uniform(0.06, 0.28))
    return _people(place, random, heads + 3, random.uniform(0.02, 0.15), random.uniform(10, 40), 1.5, 0.08)


def _bursty(place: _Place, random: np.random.Generator) -> np.ndarray:
    """Few people and their experiments: evaluations and agent runs of hours, Pareto in size, at any time."""
    base: np.ndarray = _people(place, random, np.full(len(place.dates), random.integers(8, 40)), 0.1, 20, 2, 0.15)
    hourly = base.mean()
    burst = np.zeros(len(base))
    count = random.poisson(len(place.dates) / random.uniform(3, 9))
    for begin in random.integers(0, len(base), count):
        if place.workdays[place.day[begin]] < 1 and random.random() < 0.7:
            continue
        length = int(random.integers(2, 30))
        size = hourly * 24 * 0.35 * (random.pareto(2.2) + 0.3)
        part = burst[begin : begin + length]
        part += size * random.dirichlet(np.full(length, 2.0))[: len(part)]
    return base + burst


def _weekly_batch(place: _Place, random: np.random.Generator) -> np.ndarray:
    """A report for every customer, one night a week; now and then it fails and is made up the day after."""
    weekday, begin, length = int(random.integers(7)), int(random.integers(0, 5)), int(random.integers(2, 8))
    customers = random.integers(200, 2_000) * (1 + random.uniform(0, 0.03) * np.arange(len(place.dates)) / 7)
    planned = np.array([day.weekday() == weekday for day in place.dates])
    failed = planned & (random.random(len(planned)) < 0.04)
    run = planned & ~failed
    run[1:] |= failed[:-1]
    at_night = (place.hour >= begin) & (place.hour < begin + length)
    rate = (customers * run)[place.day] * at_night * 10 / length
    job: np.ndarray = _costs(random.poisson(rate), 9_000, 1.2, random)
    people: np.ndarray = _people(place, random, np.full(len(place.dates), random.integers(3, 12)), 0.05, 15, 1.5, 0.1)
    found: np.ndarray = job + people
    return found


def _launch(place: _Place, random: np.random.Generator) -> np.ndarray:
    """A team that is there, and a product of it that goes live on some day and stays."""
    base: np.ndarray = _people(place, random, np.full(len(place.dates), random.integers(10, 60)), 0.05, 25, 1.5, 0.1)
    days = np.arange(len(place.dates))
    live = int(random.integers(70, 230))
    ramp = np.clip((days - live) / random.uniform(1, 25), 0, 1) * random.uniform(1, 5)
    curve = 1 + 0.5 * np.sin((place.hour - 8) / 24 * 2 * np.pi)
    rate = ramp[place.day] * curve * base.mean() / 4_000
    product: np.ndarray = _costs(random.poisson(rate), 4_000, 1.0, random)
    found: np.ndarray = base + product
    return found


def _small_team(place: _Place, random: np.random.Generator) -> np.ndarray:
    """One to six people, each away for a week or two now and then."""
    total = np.zeros(len(place.hour))
    for _ in range(int(random.integers(1, 7))):
        here = np.ones(len(place.dates))
        for leave in random.integers(0, len(here), 4):
            here[leave : leave + int(random.integers(3, 15))] = 0
        total += _people(place, random, here, 0.1, random.lognormal(3, 0.8), 2, 0.35)
    return total


def _service(place: _Place, random: np.random.Generator) -> np.ndarray:
    """A product in production day and night, with its customers' demand and an incident now and then."""
    demand = np.cumsum(random.normal(0.0004, 0.012, len(place.dates)))
    weekend = np.where(place.workdays > 0, 1, random.uniform(0.5, 1.1))
    curve = 1 + random.uniform(0.2, 0.7) * np.sin((place.hour - random.uniform(6, 10)) / 24 * 2 * np.pi)
    rate = (np.exp(demand) * weekend)[place.day] * curve * random.uniform(100, 5_000)
    for begin in random.integers(0, len(rate), 5):
        rate[begin : begin + int(random.integers(1, 9))] *= random.uniform(1.5, 4)
    return _costs(random.poisson(rate), 3_000, 1.0, random)


def _month_end(place: _Place, random: np.random.Generator) -> np.ndarray:
    """Finance: the last working days of a month are long."""
    heads = np.full(len(place.dates), float(random.integers(15, 80)))
    for at, day in enumerate(place.dates):
        if (day + timedelta(days=3)).month != day.month:
            heads[at] *= random.uniform(1.8, 2.6)
    return _people(place, random, heads, 0.1, 20, 1.5, 0.1)


_MAKERS: Final[dict[str, Callable[[_Place, np.random.Generator], np.ndarray]]] = {
    "steady": _steady,
    "growing": _growing,
    "bursty": _bursty,
    "weekly_batch": _weekly_batch,
    "launch": _launch,
    "small_team": _small_team,
    "service": _service,
    "month_end": _month_end,
}

"""In: a seed and incidents. Out: a month of model calls of twelve teams, as sums per team, class and 5-minute bucket.

Calls are a doubly random Poisson process with working hours, lunch dips, quiet nights and weekends, better and worse
days, growth, and busy spells; tokens per call are log-normal, so single calls can dwarf a whole bucket; classes
differ in price, and teams in how much of their input comes from prompt caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

TEAMS = 12
DAY = 288
#: 2026-10-05 was a Monday.
START = 20_731 * DAY
#: US dollars per million input tokens by class; output costs five times, a cache read a tenth.
PRICES = np.array([1.0, 3.0, 15.0])

Kind = Literal["calls", "tokens", "price", "cache"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Team `team` from bucket `start` for `length` buckets."""

    kind: Kind
    team: int
    start: int
    length: int
    factor: float


@dataclass(frozen=True, slots=True)
class Month:
    """Rows: bucket numbers, team, class, and sums[k, WIDTH]."""

    days: int
    bucket: np.ndarray
    team: np.ndarray
    model_class: np.ndarray
    sums: np.ndarray


def simulate(seed: int, days: int = 30, incidents: Sequence[Incident] = (), scale: float = 1.0) -> Month:
    rng = np.random.default_rng(seed)
    buckets = np.arange(days * DAY)
    parts: list[tuple[np.ndarray, ...]] = []
    for team in range(TEAMS):
        rate = _rate(rng, buckets, days) * scale
        mine = [incident for incident in incidents if incident.team == team]
        for incident in mine:
            if incident.kind == "calls":
                rate[incident.start : incident.start + incident.length] *= incident.factor
        calls = rng.poisson(rate)
        bucket = np.repeat(buckets, calls)
        n = len(bucket)
        sigma = rng.uniform(0.7, 1.2)
        tokens = rng.uniform(1_500, 6_000) * np.exp(rng.normal(0, sigma, n))
        # Whose cache is warm stays so: caching teams read 76 to 90 per cent, the others little.
        team_cache = rng.uniform(0.76, 0.9) if team % 2 == 0 else rng.uniform(0.0, 0.2)
        cache = np.clip(rng.normal(team_cache, 0.08, n), 0, 0.97)
        weights = rng.dirichlet([6.0, 4.0, 0.35])
        model_class = rng.choice(3, n, p=weights)
        output_share = np.clip(rng.normal(0.03, 0.015, n), 0.003, 0.2)
        boost = np.ones(n)
        for incident in mine:
            hit = (bucket >= incident.start) & (bucket < incident.start + incident.length)
            if incident.kind == "tokens":
                tokens[hit] *= incident.factor
            elif incident.kind == "price":
                boost[hit] = incident.factor
            elif incident.kind == "cache":
                cache[hit] = 0.0
        output = tokens * output_share
        inputs = tokens - output
        usd = (inputs * (1 - 0.9 * cache) + 5 * output) * PRICES[model_class] * boost / 1e6
        parts.append(
            (bucket, np.full(n, team), model_class, np.ones(n), np.zeros(n), inputs, inputs * cache, output, usd * 1e9)
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    sums = np.stack(columns[3:], axis=1).round().astype(np.int64)
    return Month(days, columns[0] + START, columns[1], columns[2], sums)


def _rate(rng: np.random.Generator, buckets: np.ndarray, days: int) -> np.ndarray:
    """Expected calls of each bucket of one team."""
    peak = rng.uniform(3, 10)
    begin, end = rng.uniform(7, 9.5), rng.uniform(16.5, 19)
    hour = (buckets % DAY) / 12
    work = 1 / (1 + np.exp(-(hour - begin) * 3)) / (1 + np.exp((hour - end) * 3))
    lunch = 1 - 0.35 * np.exp(-((hour - 12.5) ** 2) / 0.3)
    night = rng.uniform(0.01, 0.08)
    weekday = np.where((buckets // DAY) % 7 < 5, 1.0, rng.uniform(0.05, 0.3))
    daily = np.exp(rng.normal(0, 0.15, days))[buckets // DAY]
    # Busy spells of half an hour: more variable than Poisson.
    spells = rng.gamma(12, 1 / 12, len(buckets) // 6 + 1)[buckets // 6]
    growth = 1.3 ** (buckets / (30 * DAY))
    rate: np.ndarray = peak * (night + (1 - night) * work * lunch) * weekday * daily * spells * growth
    return rate

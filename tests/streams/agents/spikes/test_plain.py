"""The score of plain series, on planted anomalies of series made here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents.spikes.plain import IntervalError, PlainScorer, interval_of, score_series, warm_up_rows

START_US = int(datetime(2026, 9, 7, tzinfo=UTC).timestamp()) * 1_000_000
PLANTED, QUIET = 6.0, 4.0


@dataclass(frozen=True, slots=True)
class Planted:
    """A series with anomalies: `[first, end)` rows that are none of the others."""

    name: str
    interval_s: int
    values: list[float]
    anomalies: list[tuple[int, int]] = field(default_factory=list)

    @property
    def times_us(self) -> list[int]:
        return [START_US + row * self.interval_s * 1_000_000 for row in range(len(self.values))]


def planted(seed: int) -> list[Planted]:
    """One of each: shift, spike, dip, week, trend, flat, counts; three to six weeks each."""
    random = np.random.default_rng(seed)

    def noise(rows: int, sd: float = 1.0) -> np.ndarray:
        return random.normal(0, sd, rows)

    def week(rows: int, interval_s: int) -> np.ndarray:
        hour = np.arange(rows) * interval_s / 3600
        work = (hour // 24 % 7 < 5) * 1.0
        return np.maximum(np.sin((hour % 24 - 6) / 12 * np.pi), 0) * (0.3 + 0.7 * work)

    shift = 50 + noise(6048)
    shift[4000:] += 12
    spike = 200 + noise(6048, 5)
    spike[[3000, 5000]] += 60
    dip = 20 + 8 * week(8064, 300) + noise(8064, 0.5)
    dip[7000:7012] -= 10
    weekly = 100 + 400 * week(1008, 3600)
    weekly *= np.exp(noise(1008, 0.05))
    busy, night = 24 * 36 + 12, 24 * 37 + 2
    weekly[busy] *= 1.8
    weekly[night] += 150
    trend = np.arange(4032) * 0.05 + noise(4032, 2)
    trend[3000:3003] += 25
    flat = 0.5 + noise(20_000, 0.02)
    flat[15_000] = 0.8
    counts = random.poisson(0.2, 6048).astype(float)
    counts[4500:4506] += 6
    busy_counts = random.poisson(3 + 20 * week(6048, 300)).astype(float)
    busy_counts[12 * 24 * 17 + 2 * 12 : 12 * 24 * 17 + 3 * 12] += 20
    constant = np.full(2000, 7.5)
    constant[1500] = 9.0
    daily = 1000 + noise(400, 30)
    daily[300] = 1400
    return [
        Planted("level shift", 300, shift.tolist(), [(4000, 4012)]),
        Planted("spike", 300, spike.tolist(), [(3000, 3001), (5000, 5001)]),
        Planted("dip", 300, dip.tolist(), [(7000, 7012)]),
        Planted("weekly season", 3600, weekly.tolist(), [(busy, busy + 1), (night, night + 1)]),
        Planted("trend", 300, trend.tolist(), [(3000, 3003)]),
        Planted("flat with noise", 60, flat.tolist(), [(15_000, 15_001)]),
        Planted("sparse counts", 300, counts.tolist(), [(4500, 4506)]),
        Planted("counts with a season", 300, busy_counts.tolist(), [(12 * 24 * 17 + 24, 12 * 24 * 17 + 36)]),
        Planted("constant", 300, constant.tolist(), [(1500, 1501)]),
        Planted("days", 86_400, daily.tolist(), [(300, 301)]),
    ]


NAMES = [one.name for one in planted(0)]

"""In: a span of time and how a team works. Out: when its calls happen: office hours, nights, weekends, growth, and a
little noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sources.fleet.roles import Rhythm

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
_BIN_US: Final = 300_000_000

#: (night level, weekend factor): the night is quiet, never silent.
_LEVELS: Final[dict[Rhythm, tuple[float, float]]] = {
    "office": (0.03, 0.10),
    "service": (0.22, 0.50),
    "steady": (0.35, 0.55),
}
#: Monday to Friday.
_WEEKDAYS: Final = (0.99, 1.02, 1.02, 1.01, 0.96)


def weekday(times_us: Int64s, utc_offset: int = 0) -> Int64s:
    """0 Monday to 6 Sunday, by local time. The epoch was a Thursday."""
    return ((times_us + utc_offset * HOUR_US) // DAY_US + 3) % 7


def rate_curve(
    start_us: int, end_us: int, rhythm: Rhythm, utc_offset: int, growth: float, random: np.random.Generator
) -> tuple[Int64s, Floats]:
    """Edges of five-minute bins over [start, end] and the cumulative expected calls at each edge, up to a constant."""
    edges = np.append(np.arange(start_us, end_us, _BIN_US), end_us)
    middle = (edges[:-1] + edges[1:]) // 2
    hour = ((middle // 1_000 + utc_offset * HOUR_US // 1_000) % (DAY_US // 1_000)) / (HOUR_US / 1_000)
    night, weekend = _LEVELS[rhythm]
    # Two humps, at half past ten and at three, with a shallow dip for lunch in between.
    day = np.exp(-(((hour - 10.5) / 2.1) ** 2)) + 0.95 * np.exp(-(((hour - 15.0) / 2.3) ** 2))
    level = night + (1 - night) * day
    of_week = np.array([*_WEEKDAYS, weekend, weekend * 0.85])[weekday(middle, utc_offset)]
    grown = growth ** ((middle - start_us) / (30 * DAY_US))
    days, hours = (middle - start_us) // DAY_US, (middle - start_us) // HOUR_US
    noise = (
        np.exp(random.normal(0, 0.02, int(days[-1]) + 1))[days]
        * np.exp(random.normal(0, 0.05, int(hours[-1]) + 1))[hours]
    )
    rate = level * of_week * grown * noise * (edges[1:] - edges[:-1])
    return edges, np.concatenate([[0.0], np.cumsum(rate)])


def arrivals(edges: Int64s, cumulative: Floats, count: int, random: np.random.Generator) -> Int64s:
    """`count` ascending times (µs) along the curve, one in each equal slice of it: five minutes vary little by
    chance.
    """
    places = (np.arange(count) + random.random(count)) / max(count, 1) * cumulative[-1]
    times: Int64s = np.interp(places, cumulative, edges).astype(np.int64)
    return times

"""In: USD by team and five minutes. Out: what two usual rules raise: LiteLLM's, and a windowed Gaussian.

Both are given more than they have at home: a floor in money for the Gaussian, and settings chosen by F1 on the training
fleets (`tuned`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from benchmarks.spikes.clock import DAY
from benchmarks.spikes.fleet import ON_TIME_MINUTES, Fleet, Series
from benchmarks.spikes.labels import Raised
from benchmarks.spikes.score import Outcome, judge

Settings = dict[str, float]
Raiser = Callable[[Series, Settings], list[Raised]]


@dataclass(frozen=True, slots=True)
class Tuned:
    """The settings with the best F1 on the training fleets, and that F1."""

    settings: Settings
    f1: float


def tuned(raiser: Raiser, grid: Iterable[Settings], fleets: list[tuple[Fleet, Series]]) -> Tuned:
    """Try every setting of the grid on all fleets, given with their series."""
    best: Tuned | None = None
    most = sum(len(fleet.incidents) for fleet, _ in fleets)
    for settings in grid:
        raised = [raiser(series, settings) for _, series in fleets]
        # With so many alerts no F1 beats what is known already; the half allows for those that do not count.
        many = sum(map(len, raised)) / 2
        if best is not None and many > most and 2 * most / (most + many) < best.f1:
            continue
        outcome = sum(
            (judge(fleet, alerts, announced=False) for (fleet, _), alerts in zip(fleets, raised, strict=True)),
            Outcome(),
        )
        if best is None or outcome.f1 > best.f1:
            best = Tuned(settings, outcome.f1)
    if best is None:
        raise ValueError("the grid is empty: give at least one setting")
    return best


def litellm_grid() -> Iterable[Settings]:
    for times, least in product((1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0), (0.0, 10.0, 25.0, 50.0, 100.0)):
        yield {"times": times, "least_usd": least}


def litellm(series: Series, settings: Settings) -> list[Raised]:
    """Its anomaly check, by team: today's spend so far against `times` the mean of the seven days before, and at least
    `least_usd`; looked at every hour, told once a day.
    """
    rows, width = series.usd.shape
    daily = series.usd.reshape(rows, -1, DAY)
    days = daily.shape[1]
    sums = np.concatenate([np.zeros((rows, 1)), np.cumsum(daily.sum(axis=2), axis=1)], axis=1)
    so_far = np.cumsum(daily, axis=2)[:, :, 11::12]
    found = []
    for day in range(7, days):
        usual = (sums[:, day] - sums[:, day - 7]) / 7
        over = (so_far[:, day] > settings["times"] * usual[:, None]) & (so_far[:, day] >= settings["least_usd"])
        for row in np.flatnonzero(over.any(axis=1)):
            minute = day * 1_440 + (int(over[row].argmax()) + 1) * 60
            found.append(Raised(int(series.team[row]), min(minute, width * 5)))
    return found


#: Days of the trailing window.
_WINDOWS: Final = (1, 3, 7)


def gaussian_grid() -> Iterable[Settings]:
    for days, z, row, floor, quiet in product(
        _WINDOWS, (14.0, 9.0, 6.0, 4.0, 3.0), (3, 2, 1), (10.0, 4.0, 0.0), (60.0, 360.0)
    ):
        yield {"window_days": days, "z": z, "in_a_row": row, "usd_per_hour": floor, "quiet_minutes": quiet}


class Gaussian:
    """z of each five minutes against mean and deviation of a trailing window: in a row so often, above the mean by so
    many USD an hour, and not again until it was quiet for so long. Means and deviations are kept for the grid.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, series: Series, settings: Settings) -> list[Raised]:
        mean, deviation = self._moments(series.usd, settings["window_days"])
        excess = series.usd - mean
        over = (excess > settings["z"] * deviation) & (excess * 12 > settings["usd_per_hour"])
        return [
            Raised(int(series.team[row]), bucket * 5 + 5 + ON_TIME_MINUTES)
            for row, bucket in episodes(over, int(settings["in_a_row"]), round(settings["quiet_minutes"] / 5))
        ]

    def _moments(self, usd: np.ndarray, days: float) -> tuple[np.ndarray, np.ndarray]:
        key = id(usd), days
        if key not in self._kept:
            window = round(days * DAY)
            mean, square = _trailing(usd, window), _trailing(usd**2, window)
            self._kept[key] = mean, np.sqrt(np.maximum(square - mean**2, 1e-12))
        return self._kept[key]


def _trailing(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the `window` values before each; of as many as there are at the beginning."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    at = np.arange(values.shape[1])
    first = np.maximum(at - window, 0)
    found: np.ndarray = (sums[:, at] - sums[:, first]) / np.maximum(at - first, 1)
    return found


def episodes(over: np.ndarray, in_a_row: int, quiet: int) -> list[tuple[int, int]]:
    """(row, bucket) of each first bucket that is over for the so-many-eth time in a row, after `quiet` without."""
    held = over.copy()
    for back in range(1, in_a_row):
        held[:, back:] &= over[:, :-back]
        held[:, :back] = False
    row, bucket = np.nonzero(held)
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (row[1:] != row[:-1]) | (bucket[1:] - bucket[:-1] > quiet)
    return list(zip(row[fresh].tolist(), bucket[fresh].tolist(), strict=True))

"""In: USD by team and five minutes. Out: what detectors of the library river raise on quarters of an hour.

Two are tried on the training fleets, and the better one by F1 is shown: a Gaussian score of what is left of the cost
after the usual of the hour of the week, and the errors of Holt-Winters with a day as its season. (HalfSpaceTrees
take 40 µs and a megabyte a team at their default size, and know no season.) Nothing of river is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Final

import numpy as np

from benchmarks.spikes.fleet import ON_TIME_MINUTES, Series
from benchmarks.spikes.labels import Raised
from benchmarks.spikes.peers import Settings, episodes

QUARTER: Final = 3
_WEEK: Final = 7 * 96


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each team and quarter of an hour: the score, and USD above what was usual."""

    score: np.ndarray
    excess: np.ndarray


def quarters(usd: np.ndarray) -> np.ndarray:
    found: np.ndarray = usd.reshape(len(usd), -1, QUARTER).sum(axis=2)
    return found


def residuals(usd: np.ndarray) -> Scores:
    """river.anomaly.GaussianScorer on USD less the moving mean (river.stats.EWMean) of that hour of the week."""
    anomaly, stats = import_module("river.anomaly"), import_module("river.stats")
    found = np.zeros_like(usd)
    usual = np.zeros_like(usd)
    for row, values in enumerate(usd.tolist()):
        # With a window its variance falls below 0 on quiet series, by rounding, and it raises.
        scorer = anomaly.GaussianScorer(grace_period=96)
        means = [stats.EWMean(0.1) for _ in range(168)]
        for at, value in enumerate(values):
            mean = means[at // 4 % 168]
            before = mean.get() if at >= _WEEK else value
            left = value - before
            usual[row, at] = before
            # The score is two-sided: a fall is none of a spike's.
            found[row, at] = scorer.score_one(None, left) if left > 0 else 0.0
            scorer.learn_one(None, left)
            mean.update(value)
    return Scores(found, usd - usual)


def seasons(usd: np.ndarray) -> Scores:
    """Errors of river.time_series.HoltWinters on log cost, in times of their moving deviation (river.stats.EWVar)."""
    stats, time_series = import_module("river.stats"), import_module("river.time_series")
    found = np.zeros_like(usd)
    usual = np.zeros_like(usd)
    for team, values in enumerate(np.log(usd + 0.05).tolist()):
        model = time_series.HoltWinters(alpha=0.1, beta=0.001, gamma=0.2, seasonality=96)
        deviation = stats.EWVar(0.005)
        for at, value in enumerate(values):
            if at >= 192:
                expected = model.forecast(1)[0]
                usual[team, at] = expected
                left = value - expected
                found[team, at] = left / max(deviation.get(), 1e-6) ** 0.5
                deviation.update(left)
            else:
                usual[team, at] = value
            model.learn_one(value)
    return Scores(found, usd - np.exp(np.minimum(usual, 12)))


DETECTORS: Final[dict[str, Callable[[np.ndarray], Scores]]] = {
    "GaussianScorer on hour-of-week residual": residuals,
    "HoltWinters error": seasons,
}

_THRESHOLDS: Final[dict[str, tuple[float, ...]]] = {
    "GaussianScorer on hour-of-week residual": (1 - 1e-15, 1 - 2e-9, 0.9999994, 0.99994, 0.9973),
    "HoltWinters error": (11.0, 8.0, 6.0, 5.0, 4.0, 3.0),
}


def grid(name: str) -> Iterable[Settings]:
    for threshold, row, floor, quiet in product(_THRESHOLDS[name], (2, 1), (20.0, 10.0, 4.0, 0.0), (60.0, 360.0)):
        yield {"score": threshold, "in_a_row": row, "usd_per_hour": floor, "quiet_minutes": quiet}


class River:
    """One detector of river; its scores are kept for the grid."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._kept: dict[int, Scores] = {}

    def __call__(self, series: Series, settings: Settings) -> list[Raised]:
        key = id(series.usd)
        if key not in self._kept:
            self._kept[key] = DETECTORS[self.name](quarters(series.usd))
        scores = self._kept[key]
        over = (scores.score >= settings["score"]) & (scores.excess * 4 > settings["usd_per_hour"])
        return [
            Raised(int(series.team[row]), quarter * 15 + 15 + ON_TIME_MINUTES)
            for row, quarter in episodes(over, int(settings["in_a_row"]), round(settings["quiet_minutes"] / 15))
        ]

"""In: the buckets of one rise. Out: one episode: when it began, what it has cost, how it was last told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from streams.agents.spikes.baseline import CLASSES
from streams.agents.spikes.decomposition import Usage
from streams.agents.spikes.evidence import Measure


@dataclass(slots=True)
class Episode:
    """One rise of one team. Buckets are numbers; `observed`[5] and `expected`[3] sum its buckets so far.

    `input_share`, `cache_share` and `usual_mix` [classes * 2] are what was usual when it began. `told_impact` is the
    excess in nano-USD when it was last published, `told_bucket` when that was.
    """

    team: str
    measure: Measure
    start: int
    end: int
    observed: list[float]
    expected: list[float]
    mix: list[float]
    usual_mix: list[float]
    input_share: float
    cache_share: float
    historical: bool
    revision: int = 0
    calm: int = 0
    told_impact: float = 0.0
    #: observed, expected, mix and end as they stood before the running stretch of calm buckets.
    before_calm: list[list[float]] | None = None

    @property
    def impact(self) -> float:
        """Observed minus expected cost, nano-USD."""
        return self.observed[2] - self.expected[2]

    def extend(self, bucket: int, observed: np.ndarray, expected: np.ndarray, mix: np.ndarray) -> None:
        """Take in one more closed bucket."""
        self.end = bucket + 1
        self.observed = [float(value) for value in np.array(self.observed) + observed]
        self.expected = [float(value) for value in np.array(self.expected) + expected]
        self.mix = [float(value) for value in np.array(self.mix) + mix.reshape(-1)]

    def note_calm(self, calm: bool) -> None:
        """A calm bucket comes next, or one that is not: calm ones belong to the episode only if it flares up again."""
        if not calm:
            self.calm, self.before_calm = 0, None
            return
        if self.calm == 0:
            self.before_calm = [self.observed, self.expected, self.mix, [self.end]]
        self.calm += 1

    def cut_calm(self) -> None:
        """Let the episode end where it became calm."""
        if self.before_calm is not None:
            self.observed, self.expected, self.mix, (end,) = self.before_calm
            self.end = int(end)

    def before(self) -> Usage:
        """What the same span usually uses."""
        calls, tokens, cost = self.expected
        mix = np.array(self.usual_mix).reshape(CLASSES, 2)
        inputs = tokens * self.input_share
        return Usage(calls, tokens, cost, inputs, inputs * self.cache_share, mix)

    def after(self) -> Usage:
        calls, tokens, cost, inputs, cached = self.observed
        return Usage(calls, tokens, cost, inputs, cached, np.array(self.mix).reshape(CLASSES, 2))

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def load(text: str) -> Episode:
        return Episode(**json.loads(text))

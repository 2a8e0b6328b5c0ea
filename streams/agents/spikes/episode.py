"""In: the buckets of one rise. Out: one episode: when it began, what it has cost, how it was last told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from schemas.alerts import Confidence, Said
from streams.agents.spikes.buckets import CACHED, CALLS, COST, ERRORS, INPUT, OUTPUT, WIDTH
from streams.agents.spikes.evidence import Measure
from streams.agents.spikes.finding import Usage

#: Sums by use case or class: [observed, expected] or [tokens, cost].
Table = dict[str, list[list[float]]]


@dataclass(slots=True)
class Sums:
    """Of buckets [start, end): `observed` and `expected` [WIDTH]; `classes`: observed tokens and cost by class name;
    `parts`: observed and expected [WIDTH] by use case, of a team's episode."""

    end: int
    observed: list[float]
    expected: list[float]
    classes: dict[str, list[float]] = field(default_factory=dict)
    parts: Table = field(default_factory=dict)
    #: Expected [WIDTH] of the team, of a use case's episode.
    around: list[float] = field(default_factory=lambda: [0.0] * WIDTH)

    @property
    def impact(self) -> float:
        """Observed minus expected cost, nano-USD."""
        return self.observed[COST] - self.expected[COST]

    def plus(self, other: Sums) -> Sums:
        """Both together; `other` follows."""
        classes = {name: list(values) for name, values in self.classes.items()}
        for name, values in other.classes.items():
            classes[name] = _add(classes.get(name, [0.0, 0.0]), values)
        parts: Table = {name: [list(one) for one in pair] for name, pair in self.parts.items()}
        for name, pair in other.parts.items():
            mine = parts.get(name)
            parts[name] = pair if mine is None else [_add(mine[0], pair[0]), _add(mine[1], pair[1])]
        return Sums(
            other.end,
            _add(self.observed, other.observed),
            _add(self.expected, other.expected),
            classes,
            parts,
            _add(self.around, other.around),
        )


def _add(left: list[float], right: list[float]) -> list[float]:
    return [a + b for a, b in zip(left, right, strict=True)]


@dataclass(slots=True)
class Episode:
    """One rise of one series. `since`: the bucket that names it; `start`: the first bucket that stood out.

    `usual_mix`: what was usual when it began, tokens and cost by class. `told_impact`: the excess in nano-USD when it
    was last published. `open`: told of a bucket that is not over yet. `hidden`: resolved by what people said; it is
    followed in silence until it is calm.
    """

    series: str
    measure: Measure
    since: int
    start: int
    sums: Sums
    usual_mix: dict[str, list[float]]
    confidence: Confidence
    historical: bool
    revision: int = 0
    calm: int = 0
    told_impact: float = 0.0
    rate: float = 0.0
    strength: float = 0.0
    open: bool = False
    hidden: bool = False
    said: Said | None = None
    activity: str | None = None
    #: The sums as they stood before the running stretch of calm buckets.
    before_calm: Sums | None = None

    def note_calm(self, calm: bool) -> None:
        """A calm bucket comes next, or one that is not: calm ones belong to the episode only if it flares up again."""
        if not calm:
            self.calm, self.before_calm = 0, None
            return
        if self.calm == 0:
            self.before_calm = self.sums
        self.calm += 1

    def cut_calm(self) -> None:
        """Let the episode end where it became calm."""
        if self.before_calm is not None:
            self.sums = self.before_calm

    def before(self) -> Usage:
        """What the same span usually uses; the classes share tokens and cost as they usually do."""
        usual = self.sums.expected
        tokens = sum(values[0] for values in self.usual_mix.values())
        cost = sum(values[1] for values in self.usual_mix.values())
        classes = {
            name: (
                values[0] / tokens * (usual[INPUT] + usual[OUTPUT]) if tokens > 0 else 0.0,
                values[1] / cost * usual[COST] if cost > 0 else 0.0,
            )
            for name, values in self.usual_mix.items()
        }
        return usage(usual, classes)

    def after(self) -> Usage:
        return usage(self.sums.observed, {name: (values[0], values[1]) for name, values in self.sums.classes.items()})

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def load(text: str) -> Episode:
        """ValueError or TypeError when it was written by another version of the detector."""
        fields = json.loads(text)
        fields["sums"] = Sums(**fields["sums"])
        if fields["before_calm"] is not None:
            fields["before_calm"] = Sums(**fields["before_calm"])
        return Episode(**fields)


def usage(sums: list[float], classes: dict[str, tuple[float, float]]) -> Usage:
    """Sums[WIDTH] as others read them."""
    return Usage(sums[CALLS], sums[ERRORS], sums[INPUT], sums[CACHED], sums[OUTPUT], sums[COST], classes)


def summed(rows: np.ndarray) -> list[float]:
    """rows[k, WIDTH] added up."""
    return [float(value) for value in rows.sum(axis=0, dtype=np.float64)]

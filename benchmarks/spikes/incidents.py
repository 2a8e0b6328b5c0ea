"""In: the use cases of a team, and what they cost by themselves. Out: its incidents, its announced work, and what both
change.

Sizes are drawn in times of the least excess that counts (labels.py), so small ones are small on every scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.spikes import labels
from benchmarks.spikes.clock import DAY, WEEK, Place
from benchmarks.spikes.demand import UseCase
from benchmarks.spikes.effects import CHANGES, Effect, extra, sized
from benchmarks.spikes.labels import Incident, Plan, Size
from benchmarks.spikes.traffic import Stretches

_DAYS_BETWEEN: Final = 24.5
#: No cause of ours burns more than this.
_MOST_PER_HOUR: Final = 2_000.0
#: Kinds with their weight and shortest and longest time in minutes.
_KINDS: Final[dict[str, tuple[float, int, int]]] = {
    "runaway_loop": (0.18, 30, 360),
    "agent_left_on": (0.1, 360, 840),
    "prompt_bloat": (0.13, 120, 1_800),
    "context_resent": (0.09, 180, 600),
    "retry_storm": (0.1, 30, 240),
    "model_switch": (0.09, 180, 2_880),
    "cache_collapse": (0.08, 120, 1_800),
    "output_growth": (0.07, 120, 1_800),
    "leaked_credential": (0.08, 120, 840),
    "load_test": (0.04, 30, 120),
    "level_shift": (0.04, 0, 0),
}
#: Tries to find a time that fits a kind, and kinds that are tried.
_TRIES: Final = 25
_KIND_TRIES: Final = 4


@dataclass(slots=True)
class Planted:
    """`effects` by number of use case; `extras`: (use case as told, calls of somebody else)."""

    incidents: list[Incident] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    effects: dict[int, list[Effect]] = field(default_factory=dict)
    extras: list[tuple[str, Stretches]] = field(default_factory=list)


def plant(cases: list[UseCase], hourly: np.ndarray, at: Place, random: np.random.Generator) -> Planted:
    """`hourly`[cases, hours]: USD that each use case came to by itself."""
    found = Planted()
    ground = _Ground(cases, hourly, at)
    buckets = len(at.hour)
    day = 4 + random.exponential(_DAYS_BETWEEN * 0.6)
    while day * DAY < buckets - 2 * DAY:
        until = _next(found, ground, day, random)
        # The next one comes when this one is over and has been looked at.
        day = (day + 3 if until is None else until / 1_440 + 2) + random.exponential(_DAYS_BETWEEN - 4)
    _announced(found, ground, random)
    return found


def _next(found: Planted, ground: _Ground, day: float, random: np.random.Generator) -> int | None:
    """Plant one incident in the three days after; None when none fits. Each kind has several tries to find its time."""
    names = list(_KINDS)
    weights = np.array([_KINDS[name][0] for name in names])
    for _ in range(_KIND_TRIES):
        kind = str(random.choice(names, p=weights / weights.sum()))
        for _ in range(_TRIES):
            begins = int((day + random.uniform(0, 3)) * DAY) * 5 + int(random.integers(5))
            until = _one(found, ground, kind, begins, random)
            if until is not None:
                return until
    return None


class _Ground:
    """What is usual for a team's use cases, in USD an hour."""

    def __init__(self, cases: list[UseCase], hourly: np.ndarray, at: Place) -> None:
        self.cases, self.hourly, self.at = cases, hourly, at
        self.expected = np.stack([case.expected for case in cases]) * 12
        self.minutes = len(at.hour) * 5

    def usual(self, case: int, begins: int, minutes: int) -> tuple[float, float, float]:
        """Mean USD an hour of the use case over these minutes, the most of 98 in 100 like hours, the team's mean."""
        span = slice(begins // 5, max((begins + minutes) // 5, begins // 5 + 1))
        own, team = float(self.expected[case, span].mean()), float(self.expected[:, span].mean(axis=1).sum())
        hour, working = self.at.hour[::12], self.at.working[::12]
        middle = min(begins // 60, len(hour) - 1)
        apart = np.abs((hour - hour[middle] + 12) % 24 - 12)
        like = self.hourly[case, (apart <= 1.1) & (working == working[middle])]
        return max(own, float(like.mean())), float(np.quantile(like, 0.98)), team

    def is_busy(self, case: int, begins: int) -> bool:
        """Whether the next two hours are worth a change."""
        ahead = self.expected[case, begins // 5 : begins // 5 + 24]
        some = self.expected[case][self.expected[case] > 0]
        if len(ahead) < 24 or not len(some):
            return False
        return float(ahead.mean()) >= 0.5 * float(some.mean()) and float(ahead[:2].min()) > 0


def _one(found: Planted, ground: _Ground, kind: str, begins: int, random: np.random.Generator) -> int | None:
    """Plant one incident at that time and return the minute of its end; None when it does not fit."""
    case = int(random.integers(len(ground.cases)))
    bucket = min(begins // 5, len(ground.at.hour) - 1)
    hour, working = ground.at.hour[bucket], ground.at.working[bucket]
    if (kind == "agent_left_on" and not (16 <= hour < 20 and working)) or (
        kind == "load_test" and not (9 <= hour < 18 and working)
    ):
        return None
    if kind == "runaway_loop" and random.random() < 0.7 and not (8 <= hour < 19 and working):
        return None
    if kind in CHANGES and not ground.is_busy(case, begins):
        return None
    shortest, longest = _KINDS[kind][1:]
    end = begins + int(random.integers(shortest, longest + 1)) if longest else ground.minutes
    if longest and end > ground.minutes - 120:
        return None
    size: Size = ("small", "medium", "large")[int(random.choice(3, p=labels.SHARES))]
    first = min(end - begins, 120)
    own, most, team = ground.usual(case, begins, first)
    name = ground.cases[case].name
    if kind == "leaked_credential" and random.random() < 0.5:
        # Whoever has the key says of his calls what he likes: a use case that nobody knows.
        name, own, most = "scratch", 0.0, 0.0
    least = max(
        labels.FLOOR_PER_HOUR,
        labels.FLOOR_IN_ALL / (min(end - begins, 1440) / 60),
        own,
        most - own,
        (labels.TEAM_RATIO - 1) * team,
    )
    excess = least * random.uniform(*labels.SIZES[size])
    if excess > _MOST_PER_HOUR:
        return None
    start = begins
    if kind in CHANGES:
        ramp = int(random.integers(60, 150)) if kind == "context_resent" else 0
        span = slice(begins // 5, begins // 5 + 24)
        usual = float(ground.expected[case, span].mean())
        fitted = sized(
            kind, ground.cases[case].usual.pick(np.arange(*span.indices(ground.minutes // 5))), excess / usual, random
        )
        if fitted is None:
            return None
        found.effects.setdefault(case, []).append(Effect(kind, begins, end, fitted[0], ramp, fitted[1]))
        start = begins + round(ramp * min(least / excess, 1))
    else:
        like = ground.cases[case].usual.pick(np.flatnonzero(ground.cases[case].usual.calls > 0))
        spread = 0.3 if kind == "leaked_credential" else 0.12
        found.extras.append((name, extra(like, begins, end, excess, random, spread)))
    told = end if longest else begins + labels.SHIFT_MINUTES
    team_number = ground.cases[0].team
    found.incidents.append(
        Incident(
            team_number,
            name,
            kind,
            size,
            begins,
            start,
            told,
            (own + excess) / own if own > 0 else float("inf"),
            excess,
        )
    )
    return told


def _announced(found: Planted, ground: _Ground, random: np.random.Generator) -> None:
    """Load tests and migrations that somebody told beforehand, clear of incidents."""
    team = ground.cases[0].team
    taken = [(one.begins - 1_440, one.end + 1_440) for one in found.incidents]

    def is_free(begins: int, end: int) -> bool:
        return end < ground.minutes - 1_440 and all(end < first or begins > last for first, last in taken)

    for _ in range(random.poisson(ground.minutes / 5 / WEEK * 0.05)):
        case, begins = int(random.integers(len(ground.cases))), int(random.integers(10_080, ground.minutes - 2_880))
        end = begins + int(random.integers(30, 180))
        if not is_free(begins, end):
            continue
        own, most, together = ground.usual(case, begins, end - begins)
        usd = min(max(10.0, own, most - own, 0.5 * together) * random.uniform(2, 8), _MOST_PER_HOUR)
        like = ground.cases[case].usual.pick(np.flatnonzero(ground.cases[case].usual.calls > 0))
        found.extras.append((ground.cases[case].name, extra(like, begins, end, usd, random, 0.1)))
        found.plans.append(Plan(team, ground.cases[case].name, "load test", begins - 15, end + 15))
        taken.append((begins - 1_440, end + 1_440))
    if random.random() < 0.1:
        case, begins = int(random.integers(len(ground.cases))), int(random.integers(10_080, ground.minutes - 10_080))
        end = begins + int(random.integers(3 * 1_440, 10 * 1_440))
        span = np.flatnonzero(ground.cases[case].usual.calls > 0)
        fitted = sized("model_switch", ground.cases[case].usual.pick(span), random.uniform(0.4, 2), random)
        if fitted is None or not is_free(begins, end + 3 * 1_440):
            return
        found.effects.setdefault(case, []).append(
            Effect("migration", begins, ground.minutes, fitted[0], end - begins, fitted[1])
        )
        # Whoever announces a migration also allows for the days after it.
        found.plans.append(Plan(team, ground.cases[case].name, "migration", begins, end + 3 * 1_440))

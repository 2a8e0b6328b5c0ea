"""In: a rhythm and a place. Out: one use case: how many calls it makes in every five minutes, and of what shape.

What wobbles is what wobbles in companies: how many are at work, what they work on, what customers do today, when a job
starts. Nothing is an hourly curve with noise on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.spikes.clock import BUCKET_MINUTES, DAY, WEEK, Place
from benchmarks.spikes.traffic import Stretches, cost_per_call

RHYTHMS: Final = ("office", "service", "batch", "research", "dormant")
_SHARES: Final = (0.4, 0.26, 0.14, 0.1, 0.1)


@dataclass(slots=True)
class UseCase:
    """`usual`: five-minute stretches of what it does by itself, over all weeks."""

    team: int
    name: str
    rhythm: str
    usual: Stretches

    @property
    def expected(self) -> np.ndarray:
        """Expected USD of each bucket at list prices."""
        one = self.usual
        found: np.ndarray = one.calls * cost_per_call(one.input, one.output, one.cached, one.classes)
        return found


def use_case(team: int, name: str, at: Place, usd_a_day: float, random: np.random.Generator) -> UseCase:
    """A use case that costs about so much on a mean day."""
    rhythm = str(random.choice(RHYTHMS, p=_SHARES))
    calls = _RHYTHMS[rhythm](at, random) * _growth(len(at.hour), random)
    calls = np.where(random.random() < 0.85, 1 - 0.93 * at.holiday * (rhythm in ("office", "research")), 1) * calls
    usual = _shape(rhythm, calls, random)
    each = cost_per_call(usual.input, usual.output, usual.cached, usual.classes)
    usual.calls *= usd_a_day / max(float((usual.calls * each).sum()) / (len(calls) / DAY), 1e-12)
    return UseCase(team, name, rhythm, usual)


def _shape(rhythm: str, calls: np.ndarray, random: np.random.Generator) -> Stretches:
    """Tokens, cache and models: what kind of work it is."""
    work = str(random.choice(["chat", "lookup", "agent", "extract"], p=[0.3, 0.3, 0.25, 0.15]))
    input_, output, cached = {
        "chat": (1_800, 450, random.uniform(0, 0.45)),
        "lookup": (6_500, 500, random.choice([0.0, random.uniform(0.2, 0.6)])),
        "agent": (28_000, 900, random.uniform(0.6, 0.88)),
        "extract": (3_500, 350, random.choice([0.0, random.uniform(0.3, 0.6)])),
    }[work]
    n = len(calls)
    classes = np.zeros((n, 5))
    main = int(random.choice(5, p=[0.1, 0.34, 0.4, 0.12, 0.04]))
    classes[:, main] = 1
    if random.random() < 0.45:
        other = int(random.choice([one for one in range(5) if one != main]))
        part = random.uniform(0.03, 0.4)
        # What share goes to the other model drifts from day to day.
        share = np.clip(part * np.exp(_wander(n, 24, 0.15, random)), 0, 0.9)
        classes[:, main], classes[:, other] = 1 - share, share
    return Stretches(
        minute=np.arange(n, dtype=np.int64) * BUCKET_MINUTES,
        length=np.full(n, BUCKET_MINUTES),
        calls=calls,
        input=input_ * random.lognormal(0, 0.45) * np.exp(_wander(n, 12, random.uniform(0.03, 0.12), random)),
        output=output * random.lognormal(0, 0.45) * np.exp(_wander(n, 12, random.uniform(0.03, 0.1), random)),
        cached=np.clip(cached + (cached > 0) * _wander(n, 8, 0.025, random), 0, 0.92),
        classes=classes,
        free_errors=np.clip(0.01 * np.exp(_wander(n, 6, 0.5, random)), 0, 0.2),
        billed_errors=np.full(n, 0.004),
        spread=float(random.uniform(0.7, 2.2 if rhythm == "research" else 1.6)),
    )


def _wander(n: int, hours: float, size: float, random: np.random.Generator) -> np.ndarray:
    """A smooth wandering around 0 with that standard deviation, over about so many hours."""
    step = max(1, round(hours * 12))
    knots = random.normal(0, size * 1.25, n // step + 3)
    found: np.ndarray = np.interp(np.arange(n), np.arange(len(knots)) * step - random.integers(step), knots)
    return found


def _growth(n: int, random: np.random.Generator) -> np.ndarray:
    """Most change by a few per cent a week; some are adopted by more and more people, some fade away."""
    weeks = np.arange(n) / WEEK
    what = random.random()
    if what < 0.12:
        middle, over = random.uniform(1, 7), random.uniform(0.6, 1.5)
        found: np.ndarray = 0.25 + 0.75 / (1 + np.exp(-(weeks - middle) / over))
        return found
    if what < 0.2:
        found = np.exp(-weeks * random.uniform(0.05, 0.25))
    else:
        found = np.exp(weeks * random.normal(0.015, 0.025))
    return found


def _daily(at: Place, shape: float, random: np.random.Generator) -> np.ndarray:
    """How busy each day is, around 1."""
    days = random.gamma(shape, 1 / shape, int(at.day.max()) + 2)
    found: np.ndarray = days[at.day]
    return found


def _office(at: Place, random: np.random.Generator) -> np.ndarray:
    begins, length = random.normal(8.8, 0.8), random.uniform(8, 10.5)
    away = np.abs((at.hour - begins - length / 2) / (length / 2))
    curve = np.clip(1.15 - away**4, 0, 1)
    lunch = np.abs(at.hour - random.uniform(12, 13)) < 0.5
    curve = curve * np.where(lunch, random.uniform(0.5, 0.85), 1)
    night, weekend = random.choice([0.0, random.uniform(0, 0.05)]), random.uniform(0.01, 0.12)
    curve = np.maximum(curve, night) * np.where(at.working > 0, 1, weekend)
    # A few people or hundreds: how much it matters whether one of them is busy.
    crowd = random.uniform(0.08, 0.4)
    busy = np.exp(_wander(len(curve), 0.75, crowd, random) + _wander(len(curve), 4, crowd * 0.6, random))
    found: np.ndarray = curve * busy * _daily(at, random.uniform(20, 80), random)
    return found


def _service(at: Place, random: np.random.Generator) -> np.ndarray:
    depth, peak = random.uniform(0.1, 0.75), random.uniform(10, 20)
    curve = 1 + depth * np.cos((at.hour - peak) / 24 * 2 * np.pi)
    curve = curve * np.where(at.working > 0, 1, random.uniform(0.45, 1.2))
    busy = np.exp(_wander(len(curve), 1.5, random.uniform(0.04, 0.15), random) + _wander(len(curve), 36, 0.08, random))
    # Customers come in rushes now and then: a mailing, the news.
    for begin in random.integers(0, len(curve), random.poisson(len(curve) / WEEK * 0.5)):
        length = int(random.integers(6, 30))
        busy[begin : begin + length] *= random.uniform(1.2, 1.7)
    found: np.ndarray = curve * busy
    return found


def _batch(at: Place, random: np.random.Generator) -> np.ndarray:
    """A job each night or working night, longer or shorter; seldom it fails and is made up in the morning."""
    found = np.zeros(len(at.hour))
    begins, hours, jitter = random.uniform(0, 6), random.uniform(0.6, 4), random.uniform(0.02, 0.35)
    every_day, spread = random.random() < 0.5, random.uniform(0.05, 0.25)
    for day in range(int(at.day.max()) + 1):
        mine = np.flatnonzero(at.day == day)
        if not len(mine) or not (every_day or at.working[mine[0]] > 0):
            continue
        begin = begins + random.normal(0, jitter)
        if random.random() < 0.006:
            begin += random.uniform(4, 9)
        length = hours * random.lognormal(0, spread)
        # It goes as fast as its workers go: more documents take longer.
        within = (at.hour[mine] >= begin) & (at.hour[mine] < begin + length)
        found[mine[within]] = random.gamma(120, 1 / 120, int(within.sum()))
    return found


def _research(at: Place, random: np.random.Generator) -> np.ndarray:
    """A few people, and their evaluations: hours of calls, several times a week, at any time they are at work."""
    base = _office(at, random) * np.exp(_wander(len(at.hour), 0.5, 0.4, random))
    found: np.ndarray = base / max(base.mean(), 1e-9)
    often = random.uniform(4, 14)
    starts = np.flatnonzero(at.working * (at.hour > 8.5) * (at.hour < 20))
    typical = random.uniform(2, 7)
    for begin in random.choice(starts, random.poisson(len(found) / WEEK * often)):
        length = int(random.integers(4, 40))
        found[begin : begin + length] += typical * random.gamma(4, 1 / 4)
    return found


def _dormant(at: Place, random: np.random.Generator) -> np.ndarray:
    """Silent for weeks on end, and then as before."""
    found = (_office if random.random() < 0.6 else _service)(at, random)
    day = int(random.integers(3, 14))
    while day < at.day.max():
        silent = int(random.integers(5, 25))
        found[(at.day >= day) & (at.day < day + silent)] = 0
        day += silent + int(random.integers(6, 22))
    return found


_RHYTHMS: Final[dict[str, Callable[[Place, np.random.Generator], np.ndarray]]] = {
    "office": _office,
    "service": _service,
    "batch": _batch,
    "research": _research,
    "dormant": _dormant,
}

"""In: a seed and sizes. Out: a fleet: rows as they arrive, labelled incidents, announced work.

Nothing here knows how anybody detects anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from benchmarks.spikes.clock import DAY, ZONES, place
from benchmarks.spikes.demand import UseCase, use_case
from benchmarks.spikes.effects import Effect
from benchmarks.spikes.incidents import Planted, plant
from benchmarks.spikes.labels import FLOOR_IN_ALL, FLOOR_PER_HOUR, Incident, Plan
from benchmarks.spikes.traffic import COST, PROVIDER, Prices, Rows, Stretches, draw

#: A row that comes more than so many minutes after its time is late: what enrich allows by default.
ON_TIME_MINUTES: Final = 2
_MOST_USD_A_DAY: Final = 8_000.0


By = Literal["team", "use case"]


@dataclass(frozen=True, slots=True)
class Series:
    """`team`[n]: whose; `usd`[n, buckets] of five minutes."""

    team: np.ndarray
    usd: np.ndarray


@dataclass(frozen=True, slots=True)
class Fleet:
    """Rows in the order of their arrival. `minute`: of the calls, `arrival`: when they come, both from the start;
    `sums`[n, 7] as traffic.py names them. Team n is called `team-NNN`; `use_case` is an index into `use_cases`.
    """

    weeks: int
    teams: int
    use_cases: tuple[str, ...]
    team: np.ndarray
    use_case: np.ndarray
    model_class: np.ndarray
    minute: np.ndarray
    arrival: np.ndarray
    sums: np.ndarray
    incidents: tuple[Incident, ...]
    plans: tuple[Plan, ...]

    def series(self, by: By) -> Series:
        """USD of what came on time, by team, or by use case of each team."""
        whose = self.team if by == "team" else self.use_case.astype(np.int64) * self.teams + self.team
        kept, row = np.unique(whose, return_inverse=True)
        width = self.weeks * 7 * DAY
        bucket = self.minute // 5
        on_time = self.arrival < (bucket + 1) * 5 + ON_TIME_MINUTES
        usd = np.bincount((row * width + bucket)[on_time], self.sums[on_time, COST] / 1e9, len(kept) * width)
        return Series(kept % self.teams, usd.reshape(-1, width))


def team_name(team: int) -> str:
    return f"team-{team:03}"


def fleet(seed: int, teams: int, weeks: int) -> Fleet:
    """`teams` teams over `weeks` weeks; the same for the same seed."""
    world = _World(np.random.default_rng([seed, 0]), weeks)
    names: dict[str, int] = {}
    parts: list[tuple[np.ndarray, ...]] = []
    incidents: list[Incident] = []
    plans: list[Plan] = []
    for team in range(teams):
        random = np.random.default_rng([seed, 1, team])
        made, planted, marked = _team(team, world, weeks, random)
        incidents += marked
        plans += planted.plans
        for name, rows, arrival in made:
            number = names.setdefault(name, len(names))
            n = len(rows.minute)
            parts.append(
                (
                    np.full(n, team, np.int32),
                    np.full(n, number, np.int32),
                    rows.model_class.astype(np.int8),
                    rows.minute.astype(np.int32),
                    arrival.astype(np.int32),
                    rows.sums,
                )
            )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[4], kind="stable")
    ordered = [column[order] for column in columns]
    team_, case, model_class, minute, arrival_, sums = ordered
    return Fleet(
        weeks, teams, tuple(names), team_, case, model_class, minute, arrival_, sums, tuple(incidents), tuple(plans)
    )


class _World:
    """What happens to everybody: outages and prices of providers."""

    def __init__(self, random: np.random.Generator, weeks: int) -> None:
        minutes = weeks * 7 * 1440
        self.outages = [
            (int(random.integers(2_880, minutes - 1_440)), int(random.integers(15, 130)), int(random.integers(2)))
            for _ in range(max(1, weeks // 2))
        ]
        self.prices = Prices(
            tuple(
                (
                    int(random.integers(5)),
                    int(random.integers(10_080, minutes)),
                    float(random.choice([0.6, 0.8, 0.9, 1.25])),
                )
                for _ in range(max(1, weeks // 4))
            )
        )


def _team(
    team: int, world: _World, weeks: int, random: np.random.Generator
) -> tuple[list[tuple[str, Rows, np.ndarray]], Planted, list[Incident]]:
    at = place(str(random.choice(list(ZONES))), weeks)
    usd_a_day = min(120 * random.lognormal(0, 1.25), _MOST_USD_A_DAY)
    count = int(random.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15]))
    parts = random.dirichlet(np.full(count, 1.5))
    cases = [
        use_case(team, f"work-{team:03}-{number}", at, usd_a_day * parts[number], random) for number in range(count)
    ]
    background = [_outages(case, world, random) for case in cases]
    plain = [_with(case.usual, effects) for case, effects in zip(cases, background, strict=True)]
    clean = [draw(stretches, world.prices, random) for stretches in plain]
    hourly = np.stack([_hourly(rows, len(at.hour) // 12) for rows in clean])
    planted = plant(cases, hourly, at, random)
    made = []
    excess = np.zeros((count, len(at.hour)))
    for number, case in enumerate(cases):
        own = planted.effects.get(number, [])
        rows = _redrawn(plain[number], clean[number], own, planted, world, random)
        excess[number] = _bucketed(rows, len(at.hour)) - _bucketed(clean[number], len(at.hour))
        made.append((case.name, rows, _arrival(rows, random)))
    extras = np.zeros(len(at.hour))
    for name, stretches in planted.extras:
        rows = draw(stretches, world.prices, random)
        extras += _bucketed(rows, len(at.hour))
        made.append((name, rows, _arrival(rows, random)))
    together = excess.sum(axis=0) + extras
    return made, planted, [_judged(one, together) for one in planted.incidents]


def _judged(one: Incident, excess: np.ndarray) -> Incident:
    """Whether it came out as an incident: by its cost above what would have been, of the very rows."""
    span = excess[one.begins // 5 : one.end // 5 + 1]
    first = excess[one.start // 5 : min(one.start + 120, one.end) // 5 + 1]
    enough = float(span.sum()) >= FLOOR_IN_ALL and float(first.mean()) * 12 >= 0.8 * min(FLOOR_PER_HOUR, one.excess)
    return replace(one, counts=enough)


def _with(usual: Stretches, effects: list[Effect]) -> Stretches:
    found = usual.pick(np.arange(len(usual.minute)))
    for effect in effects:
        effect.apply(found)
    return found


def _outages(case: UseCase, world: _World, random: np.random.Generator) -> list[Effect]:
    """Calls to a provider that is down vanish or fail; what can wait is caught up with."""
    found = []
    main = int(case.usual.classes.mean(axis=0).argmax())
    for begins, minutes, provider in world.outages:
        if PROVIDER[main] != provider:
            continue
        end = begins + minutes
        found.append(Effect("vanish" if random.random() < 0.5 else "fail", begins, end, random.uniform(0.9, 1)))
        if case.rhythm in ("batch", "service") and random.random() < 0.6:
            over = int(random.integers(30, 150))
            found.append(Effect("catch_up", end, end + over, 1 + min(minutes * random.uniform(0.3, 0.9) / over, 1.2)))
    return found


def _redrawn(
    plain: Stretches,
    clean: Rows,
    effects: list[Effect],
    planted: Planted,
    world: _World,
    random: np.random.Generator,
) -> Rows:
    """The clean rows, but anew where something is different, and minute by minute around incidents."""
    n = len(plain.minute)
    fine = np.zeros(n, dtype=bool)
    for one in planted.incidents:
        fine[max(one.begins - 15, 0) // 5 : (one.start + 75) // 5] = True
    changed = fine.copy()
    for effect in effects:
        changed[effect.begins // 5 : effect.end // 5 + 1] = True
        fine[max(effect.end - 10, 0) // 5 : effect.end // 5 + 2] = True
    changed |= fine
    if not changed.any():
        return clean
    kept = clean.pick(~changed[clean.minute // 5])
    parts = [kept]
    for stretches in (plain.pick(np.flatnonzero(changed & ~fine)), plain.pick(np.flatnonzero(fine)).by_minute()):
        for effect in effects:
            effect.apply(stretches)
        parts.append(draw(stretches, world.prices, random))
    return Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("minute", "model_class", "sums")))


def _hourly(rows: Rows, hours: int) -> np.ndarray:
    return np.bincount(rows.minute // 60, rows.sums[:, COST] / 1e9, hours)[:hours]


def _bucketed(rows: Rows, buckets: int) -> np.ndarray:
    return np.bincount(rows.minute // 5, rows.sums[:, COST] / 1e9, buckets)[:buckets]


def _arrival(rows: Rows, random: np.random.Generator) -> np.ndarray:
    """Nearly all come within a minute; one in a hundred hours later; and a sender may be cut off and tell all after."""
    n = len(rows.minute)
    arrival = rows.minute + (random.random(n) < 0.2)
    late = random.random(n) < 0.01
    arrival = np.where(late, rows.minute + random.integers(6, 400, n), arrival)
    for begins, length in _cuts(rows, random):
        within = (rows.minute >= begins) & (rows.minute < begins + length)
        arrival = np.where(within, np.maximum(arrival, begins + length + random.integers(0, 10, n)), arrival)
    return arrival


def _cuts(rows: Rows, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    if len(rows.minute) and random.random() < 0.3:
        yield int(random.choice(rows.minute)), int(random.integers(40, 200))

"""In: a stage and how much of everything. Out: the groups of faults of a full run, in their order.

Programs of one group run side by side; each has randomness of its own, so that a seed replays it whatever the others
do. A group is judged as a whole when its faults are over.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.crash.faults import (
    all_killed,
    clickhouse_gone,
    kafka_gone,
    killed_at_points,
    killed_at_random,
    moved,
    stalled,
    stalled_alone,
)
from tests.crash.points import POINTS, ROLES, Point, Role, points_of
from tests.crash.stage import Program, Stage
from tests.crash.workers import Strike

Programs = Callable[[Stage, "Dice"], list[Program]]


@dataclass(frozen=True, slots=True)
class Dice:
    """Randomness by name, and the share of a full run that is wanted."""

    seed: int
    group: str
    share: float = 1.0

    def named(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {self.group} {name}")

    def times(self, full: int) -> int:
        return max(1, round(full * self.share))


@dataclass(frozen=True, slots=True)
class Group:
    """`name` in small letters without dashes: it labels the ids of its events. `workers` of each role at its start."""

    name: str
    says: str
    workers: int
    programs: Programs


#: Points in which a stalled worker still holds something: an intent, a transaction, an insert.
_STALLS: dict[Role, tuple[str, ...]] = {
    "enrich": ("after 1", "after 2", "3 half", "before 4"),
    "agents": ("after 1", "4 half", "4 alerts", "after 4"),
    "sink": ("after 1", "after 2", "after 3", "records 3 half"),
}


def _call(point: Point, rng: random.Random) -> int:
    """At which meeting to strike. A worker first does some turns in order, repeats of four partitions among them.

    Otherwise those who read from a role that always dies would wait in vain.
    """
    if point.once:
        return 1
    return rng.randint(6, 14) if point.role == "enrich" else rng.randint(2, 6)


def _steps(stage: Stage, dice: Dice) -> list[Program]:
    programs = []
    for role in ROLES:
        rng = dice.named(role)
        strikes = [Strike(point, _call(point, rng)) for point in _some(points_of(role), dice)]
        slot = stage.crews[role].slot(0)
        programs.append(killed_at_points(stage, slot, strikes, f"{role} killed at a step"))
    return programs


def _some(points: list[Point], dice: Dice) -> list[Point]:
    return points if dice.share >= 1 else points[: dice.times(len(points))]


def _steps_of_two(stage: Stage, dice: Dice) -> list[Program]:
    programs = []
    for role in ROLES:
        rng = dice.named(role)
        points = [point for point in points_of(role) if "repeat" not in point.name and "heartbeat" not in point.name]
        rng.shuffle(points)
        half = len(points) // 2
        for number, some in enumerate((points[:half], points[half:])):
            strikes = [Strike(point, _call(point, rng)) for point in _some(some, dice)]
            programs.append(
                killed_at_points(stage, stage.crews[role].slot(number), strikes, f"one of two {role} killed at a step")
            )
    return programs


def _random(stage: Stage, dice: Dice) -> list[Program]:
    return [
        killed_at_random(
            stage,
            stage.crews[role].slot(number),
            dice.named(f"{role} {number}"),
            dice.times(8),
            f"one of two {role} killed at random",
        )
        for role in ROLES
        for number in range(2)
    ]


def _zombies(stage: Stage, dice: Dice) -> list[Program]:
    programs = []
    for role in ROLES:
        rng = dice.named(role)
        points = [POINTS[f"{role}: {name}"] for name in _STALLS[role][: dice.times(4)]]
        stalls = [Strike(point, 1 if point.once else rng.randint(2, 4), signal.SIGSTOP) for point in points]
        strikes = [*stalls, *[None] * dice.times(3)]
        crew = stage.crews[role]
        programs.append(stalled(stage, crew, crew.slot(1), rng, strikes, f"{role} stalled, another takes over"))
    return programs


def _alone(stage: Stage, dice: Dice) -> list[Program]:
    return [
        stalled_alone(stage, stage.crews[role].slot(0), dice.named(role), dice.times(3), f"{role} stalled, alone")
        for role in ROLES
    ]


def _moves(stage: Stage, dice: Dice) -> list[Program]:
    return [
        moved(stage, stage.crews[role], dice.named(role), dice.times(10), f"{role} joins, leaves, dies (up to three)")
        for role in ROLES
    ]


def _kafka(stage: Stage, dice: Dice) -> list[Program]:
    hows = ("kill", "stall", "kill", "stop", "kill")[: dice.times(5)]
    return [kafka_gone(stage, dice.named("kafka"), hows, "Kafka")]


def _clickhouse(stage: Stage, dice: Dice) -> list[Program]:
    hows = ("stop", "stall", "kill", "stop", "stall", "kill")[: dice.times(6)]
    return [clickhouse_gone(stage, dice.named("clickhouse"), hows, "ClickHouse")]


def _together(stage: Stage, dice: Dice) -> list[Program]:
    """Brokers go while workers are killed."""
    programs = [
        killed_at_random(
            stage, stage.crews[role].slot(0), dice.named(role), dice.times(6), f"{role} killed while others fail", 9.0
        )
        for role in ROLES
    ]
    programs.append(clickhouse_gone(stage, dice.named("clickhouse"), ("kill", "stall")[: dice.times(2)], "ClickHouse"))
    if stage.kafka is not None:
        programs.append(kafka_gone(stage, dice.named("kafka"), ("kill", "stall")[: dice.times(2)], "Kafka"))
    return programs


def _everything(stage: Stage, dice: Dice) -> list[Program]:
    return [all_killed(stage, dice.named("all"), dice.times(4), "every worker killed at once")]


def groups(*, own_kafka: bool) -> Sequence[Group]:
    """All of a full run."""
    kafka = [Group("kafka", "Kafka goes and comes back", 1, _kafka)] if own_kafka else []
    return (
        Group("steps", "the only worker of a role is killed at each step of its loop", 0, _steps),
        Group("pairs", "two workers of each role, both killed at steps", 0, _steps_of_two),
        Group("random", "two workers of each role, both killed at any moment", 2, _random),
        Group("zombies", "a worker stalls past its session, another takes over, it comes back", 2, _zombies),
        Group("alone", "the only worker stalls and goes on", 1, _alone),
        Group("moves", "partitions move between up to three workers", 3, _moves),
        *kafka,
        Group("clickhouse", "ClickHouse goes and comes back", 1, _clickhouse),
        Group("together", "workers are killed while brokers are gone", 1, _together),
        Group("machine", "every worker dies at once", 2, _everything),
    )

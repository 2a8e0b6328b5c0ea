"""In: a stage. Out: programs of faults: workers killed at steps and at random, stalled and moved; brokers gone.

Each program counts what it has really done under its name in `stage.faults`.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from typing import Final

from tests.crash.stage import SESSION_S, FaultFailed, Program, Stage, pause, until
from tests.crash.workers import Crew, Slot, Strike

#: A point must be met within this time, start and rebalance included.
_MET_S: Final = 180.0
_MOVED_S: Final = 120.0


def killed_at_points(stage: Stage, slot: Slot, strikes: Sequence[Strike], name: str) -> Program:
    """One victim after another, each killed by itself at its point; a sound worker at the end."""
    for strike in strikes:
        yield from struck(slot, strike)
        stage.faults[name] += 1
    slot.start()


def struck(slot: Slot, strike: Strike) -> Program:
    """A new worker that meets its point. FaultFailed when it never does: such a point proves nothing."""
    log = ""
    for _ in range(2):
        victim = slot.start(strike)
        yield from until(
            lambda victim=victim: victim.struck or not victim.alive,  # type: ignore[misc]
            _MET_S,
            f"{victim.name} to meet the point '{strike.point.key}' ({strike.call}. time); see {victim.log_path}",
        )
        if victim.struck:
            if strike.how == signal.SIGKILL:
                yield from until(lambda victim=victim: not victim.alive, 20, f"{victim.name} to die")  # type: ignore[misc]
            return
        log = victim.log_tail(25)
    raise FaultFailed(
        f"no worker lived long enough to meet '{strike.point.key}'; the end of the last one's log:\n{log}"
    )


def killed_at_random(
    stage: Stage, slot: Slot, rng: random.Random, times: int, name: str, longest_s: float = 8.0
) -> Program:
    """A sound worker killed at any moment of its life, its start included; then the next."""
    for _ in range(times):
        slot.start()
        yield from pause(rng.uniform(0.3, longest_s))
        if slot.worker is not None and slot.worker.alive:
            slot.kill()
            stage.faults[name] += 1
    slot.start()


def stalled(
    stage: Stage, crew: Crew, slot: Slot, rng: random.Random, strikes: Sequence[Strike | None], name: str
) -> Program:
    """Workers that stall at a point, or at any moment (None), past their session; another takes over; they go on.

    After that each lives on for a while, as a zombie that has to find out. It may end itself: what it held is lost.
    """
    for strike in strikes:
        if strike is None:
            victim = slot.start()
            yield from pause(rng.uniform(3.0, 7.0))
            victim.send(signal.SIGSTOP)
        else:
            yield from struck(slot, strike)
            assert slot.worker is not None
            victim = slot.worker
        crew.doomed.add(victim.name)
        if not victim.alive:
            continue
        yield from pause(SESSION_S)
        others = len(crew.workers) - 1
        yield from until(
            lambda others=others: stage.is_settled(crew, others),  # type: ignore[misc]
            _MOVED_S,
            f"others to take over from {victim.name}",
        )
        yield from pause(rng.uniform(0.5, 2.0))
        victim.send(signal.SIGCONT)
        stage.faults[name] += 1
        yield from pause(rng.uniform(2.0, 5.0))
    slot.start()


def stalled_alone(stage: Stage, slot: Slot, rng: random.Random, times: int, name: str) -> Program:
    """The only worker stalls, for less or more than its session; nobody takes over meanwhile."""
    for _ in range(times):
        victim = slot.worker or slot.start()
        yield from pause(rng.uniform(1.0, 4.0))
        victim.send(signal.SIGSTOP)
        yield from pause(rng.choice((2.0, SESSION_S + 3.0)))
        victim.send(signal.SIGCONT)
        stage.faults[name] += 1
        yield from pause(2.0)


def moved(stage: Stage, crew: Crew, rng: random.Random, times: int, name: str) -> Program:
    """Up to three workers: they join, leave in order, or are killed; partitions move each time."""
    for _ in range(times):
        here = [slot for slot in crew.slots[:3] if slot.worker is not None and slot.worker.alive]
        away = [crew.slot(number) for number in range(3) if crew.slot(number) not in here]
        what = rng.choice(("join", "join", "leave", "kill"))
        if away and (what == "join" or len(here) < 2):
            rng.choice(away).start()
        elif what == "kill":
            rng.choice(here).kill()
        else:
            worker = rng.choice(here).leave()
            yield from until(lambda worker=worker: not worker.alive, 90, f"{worker.name} to leave")  # type: ignore[misc]
            if worker.exit_code != 0:
                raise FaultFailed(f"{worker.name} left with code {worker.exit_code}:\n{worker.log_tail(25)}")
        stage.faults[name] += 1
        yield from pause(rng.uniform(0.5, 6.0))


def all_killed(stage: Stage, rng: random.Random, times: int, name: str) -> Program:
    """Every worker of every role at once, as when the machine goes down; Kafka and ClickHouse stay."""
    for _ in range(times):
        yield from pause(rng.uniform(4.0, 9.0))
        for crew in stage.crews.values():
            for slot in crew.slots:
                if slot.worker is not None and slot.worker.alive:
                    slot.kill()
                    stage.faults[name] += 1
                    slot.start()


def kafka_gone(stage: Stage, rng: random.Random, hows: Sequence[str], name: str) -> Program:
    """The broker is killed, stopped in order, or stalls; it comes back on its data."""
    kafka = stage.kafka
    assert kafka is not None, "this broker is not ours to kill"
    for how in hows:
        yield from pause(rng.uniform(3.0, 8.0))
        if how == "stall":
            os.kill(kafka.pid, signal.SIGSTOP)
            yield from pause(rng.uniform(3.0, 9.0))
            os.kill(kafka.pid, signal.SIGCONT)
        else:
            kafka.kill() if how == "kill" else kafka.stop()
            yield from pause(rng.uniform(0.0, 6.0))
            kafka.start()
        stage.faults[f"{name} {_DONE[how]}"] += 1
        yield from pause(4.0)


def clickhouse_gone(stage: Stage, rng: random.Random, hows: Sequence[str], name: str) -> Program:
    """ClickHouse is killed, stopped in order, or hangs; it comes back on its data."""
    clickhouse = stage.house.clickhouse
    for how in hows:
        yield from pause(rng.uniform(2.0, 6.0))
        if how == "stall":
            os.kill(clickhouse.pid, signal.SIGSTOP)
            yield from pause(rng.uniform(3.0, 9.0))
            os.kill(clickhouse.pid, signal.SIGCONT)
        else:
            if how == "kill":
                os.kill(clickhouse.pid, signal.SIGKILL)
            clickhouse.stop()
            yield from pause(rng.uniform(0.0, 6.0))
            clickhouse.start()
        stage.faults[f"{name} {_DONE[how]}"] += 1
        yield from pause(2.0)


_DONE: Final = {"kill": "killed", "stop": "stopped and started", "stall": "stalled"}

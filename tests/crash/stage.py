"""In: a Kafka and a folder. Out: the running house with its crews, its input and its subscriber, moved on by `tick`.

One thread does everything, so that child processes live as long as the run, and faults, input and subscriber take
turns every few milliseconds. A program is a generator: it does something, then yields until the next turn.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamgauge.embedded.broker import pick_port
from tests.crash.company import documents
from tests.crash.feed import Feed
from tests.crash.groups_watch import GroupWatch, groups_of
from tests.crash.oracle import Oracle
from tests.crash.points import ROLES, Role
from tests.crash.subscriber import Subscriber
from tests.crash.traffic import Traffic
from tests.crash.workers import Crew, Worker
from tests.support.house import TestHouse
from tests.support.kafka import ApacheKafka

Program = Generator[None, None, None]

SESSION_S: Final = 6.0
PARTITIONS: Final = 4
_TURN_S: Final = 0.02


class FaultFailed(AssertionError):
    """A fault could not be injected, or what it did was not what it must do. The message says what was awaited."""


class Stage:
    """`kafka` None: somebody else's broker, which is not killed."""

    __test__ = False

    def __init__(
        self, bootstrap: str, kafka: ApacheKafka | None, folder: Path, prefix: str, seed: int, rate: float
    ) -> None:
        self.kafka, self.folder, self.rng = kafka, folder, random.Random(f"faults {seed}")
        self.house = TestHouse(
            bootstrap, folder, prefix, roles=(), partitions=(PARTITIONS, PARTITIONS), http_port=pick_port()
        )
        self._traffic = Traffic(seed, PARTITIONS)
        self.oracle = Oracle()
        self._rate = rate
        self.crews: dict[Role, Crew] = {}
        #: Faults by name since the last `reset`.
        self.faults: Counter[str] = Counter()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        house = self.house.__enter__()
        house.apply(*documents())
        self.feed = Feed(house.connection, house.topics, self._traffic, self.oracle, self._rate)
        self.subscriber = Subscriber(house.connection, house.topics)
        self.watch = GroupWatch(house.connection)
        environment = house.environment()
        self.crews = {role: Crew(role, self.folder, environment) for role in ROLES}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for crew in self.crews.values():
            crew.stop()
        self.subscriber.close()
        self.house.__exit__(kind, error, at)

    def tick(self) -> None:
        self.feed.tick()
        self.subscriber.tick()
        for crew in self.crews.values():
            crew.tend()

    def run(self, programs: Iterable[Program]) -> None:
        """All programs side by side, each to its end. One that fails is written down; the others go on."""
        running = list(programs)
        while running:
            began = time.monotonic()
            self.tick()
            for program in list(running):
                try:
                    next(program)
                except StopIteration:
                    running.remove(program)
                except FaultFailed as failed:
                    self.failures.append(str(failed))
                    running.remove(program)
            time.sleep(max(0.0, _TURN_S - (time.monotonic() - began)))

    def crowd(self, workers: int) -> None:
        """So many workers of each role, no more, all of them sound."""
        self.run(self._crowd(crew, workers) for crew in self.crews.values())

    def _crowd(self, crew: Crew, workers: int) -> Program:
        for slot in crew.slots[workers:]:
            if slot.worker is not None and slot.worker.alive:
                slot.leave()
        for number in range(workers):
            slot = crew.slot(number)
            if slot.worker is None or not slot.worker.alive or slot.worker.struck:
                slot.start()
        yield from until(lambda: self.is_settled(crew, workers), 180, f"{workers} workers of {crew.role} to be ready")

    def is_settled(self, crew: Crew, members: int) -> bool:
        """Whether its groups have so many members and have given out every partition."""
        for group, partitions in groups_of(crew.role, self.house.topics).items():
            found = self.watch.membership(group)
            if found is None or not found.settled or found.members != members or found.partitions < partitions:
                return False
        return True

    def web_ports(self) -> list[int]:
        return [worker.web_port for worker in self.crews["agents"].workers]

    def everybody(self) -> Sequence[Worker]:
        return [worker for crew in self.crews.values() for worker in crew.workers]


def until(condition: Callable[[], bool], seconds: float, what: str) -> Program:
    """Take turns until `condition` holds. FaultFailed naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise FaultFailed(f"waited {seconds:.0f} s in vain for {what}")
        yield


def pause(seconds: float) -> Program:
    """Take turns for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield

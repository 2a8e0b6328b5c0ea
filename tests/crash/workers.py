"""In: a house and roles. Out: worker processes to start, strike, stall, continue and replace; and who ended by itself.

A slot is a place for one worker of a role; a new process in it is a new worker. A worker that ends by itself is started
again, as a supervisor would, and written down.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK, log_tail
from streamgauge.local.process import STOP_GRACE_S
from tests.crash.nursery import Nursery
from tests.crash.points import Point, Role

#: After this long a worker that ended by itself is started again.
AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Strike:
    """A point at whose `call`-th meeting a worker is struck by `how`."""

    point: Point
    call: int = 1
    how: signal.Signals = signal.SIGKILL


class Worker:
    """One process. `struck`: it has met its point."""

    def __init__(
        self,
        role: Role,
        name: str,
        folder: Path,
        strike: Strike | None,
        nursery: Nursery,
        environment: Mapping[str, str],
    ) -> None:
        self.role, self.name, self.strike = role, name, strike
        self.log_path = folder / f"{name}.log"
        self.web_port = pick_port()
        self._mark = folder / f"{name}.struck"
        mine = {
            "STREAMGAUGE_HTTP__HOST": LOOPBACK,
            "STREAMGAUGE_HTTP__PORT": str(pick_port()),
            "STREAMGAUGE_AGENTS__WEB_PORT": str(self.web_port),
        }
        if strike is not None:
            mine |= {
                "CRASH_POINT": strike.point.key,
                "CRASH_CALL": str(strike.call),
                "CRASH_SIGNAL": strike.how.name,
                "CRASH_MARK": str(self._mark),
            }
        self._child = nursery.start({**environment, **mine}, self.log_path)

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    @property
    def struck(self) -> bool:
        return self._mark.exists()

    def send(self, how: signal.Signals) -> None:
        self._child.send_signal(how)

    def bury(self) -> None:
        """Kill it if it lives, and wait for its end."""
        self.send(signal.SIGKILL)
        self.ended_within(30)

    def ended_within(self, seconds: float) -> bool:
        return self._child.wait(seconds)

    def log_tail(self, lines: int) -> str:
        return log_tail(self.log_path, lines)


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker that ended although nobody had struck it."""

    worker: str
    code: int | None
    log: str


class Slot:
    """`worker` is the newest process here, alive or not; None before the first start."""

    def __init__(self, crew: Crew, name: str) -> None:
        self._crew, self.name = crew, name
        self.worker: Worker | None = None

    def start(self, strike: Strike | None = None) -> Worker:
        """A new process here; the one before is killed if it lives."""
        if self.worker is not None:
            self.worker.bury()
        self.worker = self._crew.new_worker(self.name, strike)
        return self.worker

    def kill(self) -> None:
        """SIGKILL from outside, at this moment."""
        if self.worker is not None:
            self._crew.doomed.add(self.worker.name)
            self.worker.bury()

    def leave(self) -> Worker:
        """Ask the worker to end in order: SIGTERM, without waiting."""
        assert self.worker is not None
        self._crew.doomed.add(self.worker.name)
        self.worker.send(signal.SIGCONT)
        self.worker.send(signal.SIGTERM)
        return self.worker


class Crew:
    """All workers of one role."""

    def __init__(self, role: Role, folder: Path, environment: Mapping[str, str]) -> None:
        self.role = role
        self._folder, self._environment = folder, environment
        self._nursery = Nursery(role, folder / f"{role}-nursery.log")
        self._count = 0
        self.slots: list[Slot] = []
        #: Workers whose end is expected, by name.
        self.doomed: set[str] = set()
        self.ended: list[Ended] = []
        self._mourned: dict[str, float] = {}

    def slot(self, number: int) -> Slot:
        while len(self.slots) <= number:
            self.slots.append(Slot(self, f"{self.role}-{'abcdef'[len(self.slots)]}"))
        return self.slots[number]

    def new_worker(self, slot: str, strike: Strike | None) -> Worker:
        self._count += 1
        return Worker(self.role, f"{slot}{self._count}", self._folder, strike, self._nursery, self._environment)

    @property
    def workers(self) -> list[Worker]:
        """Living ones."""
        return [slot.worker for slot in self.slots if slot.worker is not None and slot.worker.alive]

    def tend(self) -> None:
        """Start again who ended although nobody had struck it."""
        for slot in self.slots:
            worker = slot.worker
            if worker is None or worker.alive or worker.name in self.doomed or worker.struck:
                continue
            if worker.name not in self._mourned:
                self._mourned[worker.name] = time.monotonic()
                self.ended.append(Ended(worker.name, worker.exit_code, log_tail(worker.log_path, 40)))
            if time.monotonic() - self._mourned[worker.name] > AGAIN_S:
                slot.start()

    def stop(self) -> None:
        """End all: first asked, then waited for."""
        workers = self.workers
        for worker in workers:
            self.doomed.add(worker.name)
            worker.send(signal.SIGCONT)
            worker.send(signal.SIGTERM)
        for worker in workers:
            if not worker.ended_within(STOP_GRACE_S):
                worker.bury()
        self._nursery.close()

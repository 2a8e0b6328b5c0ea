"""In: a role's name, and in the environment a point and a blow. Out: the role itself, which ends or stalls there.

`python -m tests.crash.role ROLE` is `streamgauge ROLE`. With CRASH_POINT it strikes itself at the CRASH_CALL-th call of
that point: CRASH_SIGNAL is SIGKILL (nothing is flushed, closed or committed) or SIGSTOP (it stalls, heartbeats and all,
until somebody continues it). Before the blow it leaves a line in the file CRASH_MARK.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.crash.points import POINTS, Point

FLUSH_S: Final = 10.0


class Fate:
    """The blow: at the `call`-th time that the point is met, once."""

    def __init__(self, call: int, how: signal.Signals, mark: Path) -> None:
        self._left, self._how, self._mark = call, how, mark
        self._lock = threading.Lock()

    def due(self) -> bool:
        """Count one meeting; whether it is the one."""
        with self._lock:
            self._left -= 1
            return self._left == 0

    def strike(self) -> None:
        with self._mark.open("a") as mark:
            mark.write("struck\n")
            mark.flush()
            os.fsync(mark.fileno())
        os.kill(os.getpid(), self._how)

    def meet(self) -> None:
        if self.due():
            self.strike()


class StruckProducer:
    """A transactional producer that is struck when `share` of `records` are produced and sent."""

    def __init__(self, producer: Any, records: int, share: float, fate: Fate) -> None:
        self._producer, self._fate = producer, fate
        self._left = round(records * share)

    def begin_transaction(self) -> None:
        self._producer.begin_transaction()
        self._strike_at_end()

    def produce(self, *arguments: Any, **named: Any) -> None:
        self._producer.produce(*arguments, **named)
        self._left -= 1
        self._strike_at_end()

    def _strike_at_end(self) -> None:
        if self._left == 0:
            # What was produced so far stands on the broker, in an open transaction.
            self._producer.flush(FLUSH_S)
            self._fate.strike()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)


def wrapped(original: Callable[..., Any], point: Point, fate: Fate) -> Callable[..., Any]:
    """The method, with the blow at its point."""

    @functools.wraps(original)
    def around(self: Any, *arguments: Any, **named: Any) -> Any:
        if point.way == "before" and point.when(self, arguments, None):
            fate.meet()
        result = original(self, *arguments, **named)
        if point.way == "after" and point.when(self, arguments, result):
            fate.meet()
        return result

    @functools.wraps(original)
    def publish(self: Any, messages: Any) -> Any:
        every = list(messages)
        if not (point.when(self, (every,), None) and fate.due()):
            return original(self, every)
        # Shares between none and all are of at least one message, and never of the last.
        first = round(len(every) * point.share)
        if 0 < point.share < 1:
            first = min(max(first, 1), len(every) - 1)
        original(self, every[:first])
        fate.strike()
        return first + original(self, every[first:])

    @functools.wraps(original)
    def transaction(self: Any, settlement: Any) -> Any:
        if not (point.when(self, (settlement,), None) and fate.due()):
            return original(self, settlement)
        records = len(settlement.records) + len(settlement.alerts) + len(settlement.statuses)
        real = self._producer
        self._producer = StruckProducer(real, records, point.share, fate)
        try:
            return original(self, settlement)
        finally:
            if self._producer is not None:
                self._producer = real

    ways: dict[str, Callable[..., Any]] = {"publish": publish, "transaction": transaction}
    return ways.get(point.way, around)


def arm(environment: Mapping[str, str]) -> None:
    """Wrap the method that the environment names. AttributeError, KeyError: there is no such point any more."""
    name = environment.get("CRASH_POINT")
    if name is None:
        return
    point = POINTS[name]
    how = signal.Signals[environment.get("CRASH_SIGNAL", "SIGKILL")]
    fate = Fate(int(environment.get("CRASH_CALL", "1")), how, Path(environment["CRASH_MARK"]))
    owner, method = method_of(point)
    setattr(owner, point.method, wrapped(method, point, fate))


def method_of(point: Point) -> tuple[Any, Callable[..., Any]]:
    """The class and its own method."""
    module, _, name = point.target.partition(":")
    owner = getattr(importlib.import_module(module), name)
    method: Callable[..., Any] = vars(owner)[point.method]
    return owner, method


def run(role: str) -> int:
    """The role, struck as the environment says. Returns its exit code."""
    from streamgauge.cli import app

    arm(os.environ)
    try:
        app(args=[role], prog_name="streamgauge")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))

"""In: what a role says of itself (progress, idle, ready, failing). Out: whether it is alive and whether it is ready,
with the reason.

Health means progress: a role is alive only if its offsets advance or its input is empty. A process that merely runs,
holding partitions that it does not read, is not alive, whatever its threads do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from runtime.clock import Clock, SystemClock

#: Without progress for this long a role is not alive; longer than any retry step and any rebalance.
STALL_S = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer for a probe; `reason` is a sentence for people, also when `ok`. `idle`: the input is read to
    its end.
    """

    ok: bool
    reason: str
    idle: bool = False


class Health:
    """Thread-safe. The role writes, the endpoint reads. `stall_s`: how long without progress is still alive."""

    def __init__(self, clock: Clock | None = None, stall_s: float = STALL_S) -> None:
        self._clock = clock or SystemClock()
        self._stall_s = stall_s
        self._lock = threading.Lock()
        self._moved_at = self._clock.monotonic()
        self._idle = False
        self._ready = False
        self._failing: str | None = None
        self._parts: dict[str, Health] = {}

    def part(self, name: str) -> Health:
        """A health of its own for one thread of the role: the role is alive and ready only if every part is."""
        with self._lock:
            return self._parts.setdefault(name, Health(self._clock, self._stall_s))

    def progress(self) -> None:
        """Offsets advanced: what failed before is over."""
        with self._lock:
            self._moved_at, self._idle, self._failing = self._clock.monotonic(), False, None

    def idle(self) -> None:
        """The input was asked for more and is empty: as good as progress."""
        with self._lock:
            self._moved_at, self._idle, self._failing = self._clock.monotonic(), True, None

    def ready(self, is_ready: bool) -> None:
        """Whether the role has its partitions and its state and can work."""
        with self._lock:
            self._ready = is_ready

    def failing(self, why: str) -> None:
        """Something the role waits out, such as a broker that does not answer. Not ready until the next progress."""
        with self._lock:
            self._failing = why

    def liveness(self) -> Verdict:
        """Alive: progress or an empty input within `stall_s`, in every part where the role has parts."""
        parts = self._of_parts(Health.liveness)
        return self._liveness() if parts is None else parts

    def readiness(self) -> Verdict:
        """Ready: started up, not failing and alive, in every part where the role has parts."""
        parts = self._of_parts(Health.readiness)
        return self._readiness() if parts is None else parts

    def _of_parts(self, ask: Callable[[Health], Verdict]) -> Verdict | None:
        """The first bad verdict among the parts, else one that names them all; None without parts."""
        with self._lock:
            parts = dict(self._parts)
        if not parts:
            return None
        verdicts = {name: ask(part) for name, part in parts.items()}
        told = {name: f"{name}: {verdict.reason}" for name, verdict in verdicts.items()}
        bad = [name for name, verdict in verdicts.items() if not verdict.ok]
        if bad:
            return Verdict(False, "; ".join(told[name] for name in bad))
        return Verdict(True, "; ".join(told.values()), all(verdict.idle for verdict in verdicts.values()))

    def _liveness(self) -> Verdict:
        with self._lock:
            still = self._clock.monotonic() - self._moved_at
            why = f"; waiting because {self._failing}" if self._failing else ""
            if still > self._stall_s:
                return Verdict(False, f"no progress for {still:.0f} s (limit {self._stall_s:.0f} s){why}")
            return Verdict(True, f"{'input empty' if self._idle else 'progress'} {still:.0f} s ago{why}", self._idle)

    def _readiness(self) -> Verdict:
        alive = self._liveness()
        with self._lock:
            if not self._ready:
                return Verdict(False, self._failing or "starting: partitions or state are not there yet")
            if self._failing is not None:
                return Verdict(False, self._failing)
            return alive

"""In: what a role says of itself (progress, idle, ready, failing, the partitions that it holds), and what a watch saw
in Kafka. Out: whether it is alive and whether it is ready, with the reason.

Health means progress: a role is alive only if its offsets advance or its input is empty. A process that merely runs,
holding partitions that it does not read, is not alive, whatever its threads do. Where a watch looks (`progress_watch`),
what it sees in Kafka decides; what the role says of its own progress counts only until the watch has looked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from runtime.clock import Clock, SystemClock
from runtime.standstill import Standstill

#: Without progress for this long a role is not alive; longer than any retry step and any rebalance.
STALL_S: Final = 120.0
#: A loop that found its input empty says so at least this often; what it said before that is no evidence any more.
IDLE_FRESH_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer for a probe; `reason` is a sentence for people, also when `ok`. `idle`: the input is read to
    its end.
    """

    ok: bool
    reason: str
    idle: bool = False


class Health:
    """Thread-safe. The role and the watch write, the endpoint reads. `stall_s`: how long without progress is still
    alive.
    """

    def __init__(self, clock: Clock | None = None, stall_s: float = STALL_S) -> None:
        self._clock = clock or SystemClock()
        self.stall_s = stall_s
        self._lock = threading.Lock()
        self._moved_at = self._clock.monotonic()
        self._idle = False
        self._ready = False
        self._failing: str | None = None
        self._failing_at = 0.0
        self._parts: dict[str, Health] = {}
        self._held: dict[str, frozenset[int]] = {}
        #: None: no watch has looked at what this role holds.
        self._standing: tuple[Standstill, ...] | None = None

    def part(self, name: str) -> Health:
        """A health of its own for one thread of the role: the role is alive and ready only if every part is."""
        with self._lock:
            return self._parts.setdefault(name, Health(self._clock, self.stall_s))

    def leaves(self) -> list[Health]:
        """The parts, or this one where there are none."""
        with self._lock:
            return list(self._parts.values()) or [self]

    def holds(self, topic: str, partitions: Iterable[int]) -> None:
        """The partitions of `topic` that the group has given to this role now, instead of those before. Tell it before
        their state is loaded: a load that hangs is a standstill as well.
        """
        with self._lock:
            self._held[topic] = frozenset(partitions)

    def holding(self) -> dict[str, frozenset[int]]:
        """Partitions by topic; a topic without partitions was told, a missing one was not."""
        with self._lock:
            return dict(self._held)

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
        """Something the role waits out, such as a broker that does not answer. Not ready until the next progress; alive
        as long as it is said again within `stall_s`.
        """
        with self._lock:
            self._failing, self._failing_at = why, self._clock.monotonic()

    def watched(self, standing: Sequence[Standstill]) -> None:
        """What the watch saw just now: the partitions of this role whose input waits while their offsets stand."""
        with self._lock:
            self._standing = tuple(standing)

    def liveness(self) -> Verdict:
        """Alive: no partition held has stood still for `stall_s` while its input waits, in every part."""
        parts = self._of_parts(Health.liveness)
        return self._liveness() if parts is None else parts

    def readiness(self) -> Verdict:
        """Ready: started up, not failing and alive, in every part where the role has parts."""
        parts = self._of_parts(Health.readiness)
        return self._readiness() if parts is None else parts

    def progress_age_s(self) -> float:
        """Seconds since the role said that it moved or found its input empty; of the part that is furthest back."""
        with self._lock:
            parts, moved_at = list(self._parts.values()), self._moved_at
        if parts:
            return max(part.progress_age_s() for part in parts)
        return self._clock.monotonic() - moved_at

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
            now = self._clock.monotonic()
            still = now - self._moved_at
            why = f"; waiting because {self._failing}" if self._failing else ""
            # An outage that the loop waits out, and says so, is no reason to be killed.
            waits_out = self._failing is not None and now - self._failing_at <= self.stall_s
            if self._standing is None:
                if still > self.stall_s and not waits_out:
                    return Verdict(False, f"no progress for {still:.0f} s (limit {self.stall_s:.0f} s){why}")
            elif not waits_out and (stuck := [one for one in self._standing if one.still_s > self.stall_s]):
                worst = max(stuck, key=lambda one: one.still_s)
                more = f"; so do {len(stuck) - 1} more partitions" if len(stuck) > 1 else ""
                return Verdict(False, f"{worst.told()} (limit {self.stall_s:.0f} s){more}{why}")
            elif self._held and not any(self._held.values()):
                return Verdict(True, f"holds no partitions{why}", self._idle and still <= IDLE_FRESH_S)
            idle = self._idle and still <= IDLE_FRESH_S
            return Verdict(True, f"{'input empty' if self._idle else 'progress'} {still:.0f} s ago{why}", idle)

    def _readiness(self) -> Verdict:
        alive = self._liveness()
        with self._lock:
            if not self._ready:
                return Verdict(False, self._failing or "starting: partitions or state are not there yet")
            if self._failing is not None:
                return Verdict(False, self._failing)
            return alive

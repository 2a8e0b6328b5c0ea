"""In: events from any thread. Out: batches for the one background thread; and the count of what became of every
event.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

E = TypeVar("E")

#: Dropped events that are kept for `on_error`; their count is always whole.
_KEPT_DROPPED: Final = 1_000
#: How often the background thread looks for acknowledgements while some are due.
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class ReporterStats:
    """Events so far. `queued` are neither acknowledged nor lost yet; reported = queued + delivered + failed +
    dropped.
    """

    queued: int
    delivered: int
    failed: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Losses:
    """What was lost since the last question: `failed` at Kafka's side, `dropped` for want of room; the last cause."""

    failed: int
    dropped: int
    cause: str


class Outbox(Generic[E]):
    """Bounded by `capacity` events that are not settled yet, whether still here or already with the Kafka client."""

    def __init__(self, capacity: int, batch: int, linger_s: float) -> None:
        self._capacity, self._batch, self._linger_s = capacity, batch, linger_s
        self._changed = threading.Condition()
        self._waiting: deque[tuple[E, int]] = deque()
        self._pending = 0
        self._delivered = 0
        self._failed = 0
        self._dropped = 0
        self._dropped_events: list[E] = []
        self._dropped_told = 0
        self._asked_failed = 0
        self._asked_dropped = 0
        self._flushing = 0
        self._cause = ""
        self._closing = False

    @property
    def closing(self) -> bool:
        return self._closing

    def put(self, event: E, stamp_us: int) -> bool:
        """Never waits. False when there is no room, or after stop()."""
        with self._changed:
            if self._closing or self._pending >= self._capacity:
                self._dropped += 1
                if len(self._dropped_events) < _KEPT_DROPPED:
                    self._dropped_events.append(event)
                waiting = f"{self._pending} events wait for Kafka, which is the capacity"
                self._cause = "the reporter is closed" if self._closing else waiting
                return False
            self._waiting.append((event, stamp_us))
            self._pending += 1
            if len(self._waiting) in (1, self._batch):
                self._changed.notify_all()
            return True

    def take(self) -> list[tuple[E, int]]:
        """Wait for events, then a little for company. Empty: look for acknowledgements, or at `closing`."""
        with self._changed:
            if not self._waiting and not self._closing:
                # With nothing due and nothing to tell, only a new event (or the end) is worth waking up for.
                self._changed.wait(_LOOK_S if self._pending or self._dropped > self._dropped_told else None)
            if not self._waiting:
                return []
            self._changed.wait_for(
                lambda: len(self._waiting) >= self._batch or self._flushing or self._closing, self._linger_s
            )
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))]

    def settle(self, count: int, cause: str | None) -> None:
        """`count` events are acknowledged (cause None) or lost."""
        with self._changed:
            self._pending -= count
            if cause is None:
                self._delivered += count
            else:
                self._failed += count
                self._cause = cause
            if self._pending == 0:
                self._changed.notify_all()

    def untold_dropped(self) -> tuple[int, Sequence[E], str]:
        """How many were dropped since the last call, (some of) these events, and why."""
        with self._changed:
            count, events = self._dropped - self._dropped_told, self._dropped_events
            self._dropped_told, self._dropped_events = self._dropped, []
            return count, events, self._cause

    def wait_settled(self, timeout_s: float) -> int:
        """Hurry, and wait until nothing is pending. Returns what still is."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._pending == 0, timeout_s)
            self._flushing -= 1
            return self._pending

    def losses(self) -> Losses:
        """What was lost since the last call."""
        with self._changed:
            losses = Losses(self._failed - self._asked_failed, self._dropped - self._asked_dropped, self._cause)
            self._asked_failed, self._asked_dropped = self._failed, self._dropped
            return losses

    def stop(self) -> None:
        """No more events; the background thread ends after those that are here."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def stats(self) -> ReporterStats:
        with self._changed:
            return ReporterStats(self._pending, self._delivered, self._failed, self._dropped)

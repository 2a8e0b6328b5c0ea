"""In: event times in trace order and a speed. Out: how many of them are due now, and the waits in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from runtime.clock import Clock
from sources.replay.chunk import Int64s

Sleeper = Callable[[float], None]

#: Calls that fall due within this many seconds of each other leave together.
_GRAIN_S = 0.05


class Pace:
    """Keeps to `speed` times the trace's own tempo from the first event on. `speed` None: everything is due at once."""

    def __init__(self, speed: float | None, clock: Clock, sleeper: Sleeper) -> None:
        self._speed, self._clock, self._sleeper = speed, clock, sleeper
        self._first_us: int | None = None
        self._began = 0.0

    def slices(self, times_us: Int64s) -> Iterator[slice]:
        """Slices of consecutive events, each yielded when it is due. Call once per chunk, in order."""
        rows = len(times_us)
        if self._speed is None or rows == 0:
            yield slice(0, rows)
            return
        # A time behind an earlier one is due with it: order is kept.
        due = np.maximum.accumulate(times_us)
        if self._first_us is None:
            self._first_us, self._began = int(due[0]), self._clock.monotonic()
        start = 0
        while start < rows:
            now_s = self._clock.monotonic() - self._began
            wait_s = (int(due[start]) - self._first_us) / 1e6 / self._speed - now_s
            if wait_s > 0:
                self._sleeper(wait_s)
                continue
            until = self._first_us + int((now_s + _GRAIN_S) * self._speed * 1e6)
            end = max(start + 1, int(np.searchsorted(due, until, side="right")))
            yield slice(start, end)
            start = end

"""In: nothing. Out: time as an argument: a process is handed `SystemClock`, a test a `FixedClock`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from schemas.control.base import us_moment


class Clock(Protocol):
    """Tells wall time in µs since the epoch, and monotonic seconds for measuring spans."""

    def now_us(self) -> int: ...

    def monotonic(self) -> float: ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class FixedClock:
    """Stands still until told to move."""

    us: int = 0

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1_000_000

    def advance(self, us: int) -> None:
        self.us += us


to_datetime = us_moment

"""In: something that is away (Kafka, the schema registry). Out: the wait until it is back: capped backoff, a log line
and a word to health at each step, and an end when the process is told to stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Literal

import structlog

_log = structlog.get_logger("enrich")

#: First and longest step of a wait, in seconds; each is twice the one before.
FIRST_S: Final = 0.25
LONGEST_S = 5.0

Waiting = Literal["kafka.waiting", "commit.waiting", "produce.waiting", "registry.waiting"]


class Stopping(Exception):
    """The process was told to stop while a batch waited: its intent stands, so the next start repeats it."""


def _nobody(_why: str) -> None:
    """Nobody wants to be told."""


class Patience:
    """One worker's way to wait. `halt`: set when the process is to stop; `failing`: told why it waits, at each step."""

    def __init__(self, halt: threading.Event | None = None, failing: Callable[[str], None] = _nobody) -> None:
        self._halt = halt or threading.Event()
        self._failing = failing

    @property
    def over(self) -> bool:
        """Whether the process is to stop."""
        return self._halt.is_set()

    def begin(self, event: Waiting) -> Wait:
        """A wait for one thing; `event` names its log lines."""
        return Wait(event, self._halt, self._failing)


class Wait:
    """One outage as it is waited out."""

    def __init__(self, event: Waiting, halt: threading.Event, failing: Callable[[str], None]) -> None:
        self._event = event
        self._halt = halt
        self._failing = failing
        self._step_s = self._rhythm_s = FIRST_S
        self._began = time.monotonic()
        self._tell_at = self._began

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._began

    def pause(self, why: str, **more: object) -> None:
        """Say why and sleep one step of the backoff. Raises Stopping."""
        self._tell(why, self._step_s, **more)
        if self._halt.wait(self._step_s):
            raise Stopping(f"{self._event}: {why}")
        self._step_s = min(self._step_s * 2, LONGEST_S)

    def going_on(self, why: str, **more: object) -> None:
        """For calls that wait by themselves, again and again: say why in the rhythm of the backoff. Raises Stopping."""
        if time.monotonic() >= self._tell_at:
            self._tell(why, self._rhythm_s, **more)
            self._tell_at = time.monotonic() + self._rhythm_s
            self._rhythm_s = min(self._rhythm_s * 2, LONGEST_S)
        if self._halt.is_set():
            raise Stopping(f"{self._event}: {why}")

    def _tell(self, why: str, again_in_s: float, **more: object) -> None:
        _log.warning(self._event, error=why, waited_s=round(self.waited_s), again_in_s=again_in_s, **more)
        self._failing(why)

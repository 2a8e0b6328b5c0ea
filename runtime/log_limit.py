"""In: log lines of client libraries. Out: the first of each kind at once, then one per interval that counts the others.

While Kafka is away a client library repeats itself hundreds of times a second, and what else is said drowns in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

_INTERVAL_S: Final = 30.0
#: Kinds remembered; a library that puts figures into its messages makes new ones without end.
_KINDS: Final = 1_000


class Repeats:
    """Tells which line of a kind is due. Thread-safe enough for logs: two threads may both say one."""

    def __init__(self, interval_s: float = _INTERVAL_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._interval_s, self._monotonic = interval_s, monotonic
        #: By kind: when it was said last, and how many were held back since.
        self._said: dict[Hashable, tuple[float, int]] = {}

    def due(self, kind: Hashable) -> int | None:
        """How many of this kind were held back since the last one; None: hold this one back too."""
        now = self._monotonic()
        said_at, held = self._said.get(kind, (-self._interval_s, 0))
        if now - said_at < self._interval_s:
            self._said[kind] = (said_at, held + 1)
            return None
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[kind] = (now, 0)
        return held


class LogLimit(logging.Filter):
    """For a handler. A kind is a logger, a level and the message before its arguments are put in."""

    def __init__(self, repeats: Repeats | None = None) -> None:
        super().__init__()
        self._repeats = repeats or Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        held = self._repeats.due((record.name, record.levelno, str(record.msg)))
        if held:
            record.msg = f"{record.getMessage()} (and {held:,} more like this)"
            record.args = ()
        return held is not None

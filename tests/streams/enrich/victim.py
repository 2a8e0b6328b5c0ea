"""A worker that ends itself at a chosen step: `python -m tests.streams.enrich.victim BOOTSTRAP PREFIX POINT SIGNAL`.

SIGKILL: nothing is flushed, closed or committed. SIGSTOP: it stalls, heartbeats and all, until somebody continues it.
POINT is a step of the loop in `streams.enrich.run`, in the worker's third batch: finished ones lie before it. All other
steps, and workers killed again in a repeat, are struck by `tests.crash`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from typing import Final

from schemas.positions import SourceRange
from schemas.topics import Topics
from streams.enrich.batch import SourceBatch
from streams.enrich.outputs import Output
from streams.enrich.publisher import Publisher
from streams.enrich.source import EventSource
from tests.support.enrich import new_enricher, short_session

POINTS: Final = ("after 2", "3 half")
#: The batch in which the victim dies.
BATCH: Final = 3


class Fate:
    """What happens to the victim, and where."""

    def __init__(self, point: str, how: signal.Signals) -> None:
        self._point: str | None = point
        self._how = how

    def meet(self, point: str) -> None:
        """Once."""
        if point == self._point:
            self._point = None
            os.kill(os.getpid(), self._how)


class DyingSource(EventSource):
    """Ends after step 2 of its third batch."""

    fate: Fate
    batches: int

    def next_batch(self) -> SourceBatch | None:
        batch = super().next_batch()
        if batch is not None:
            self.batches += 1
        return batch

    def write_intent(self, ranges: tuple[SourceRange, ...], control: int) -> None:
        super().write_intent(ranges, control)
        if self.batches == BATCH:
            self.fate.meet("after 2")


class DyingPublisher(Publisher):
    """Ends in the third batch when half of its messages are acknowledged."""

    fate: Fate
    batches: int = 0

    def publish(self, messages: Iterable[Output]) -> int:
        every = list(messages)
        self.batches += 1
        if self.batches != BATCH:
            return super().publish(every)
        half = len(every) // 2
        super().publish(every[:half])
        self.fate.meet("3 half")
        super().publish(every[half:])
        return len(every)


def main(bootstrap: str, prefix: str, point: str, how: str) -> None:
    connection = short_session(bootstrap)
    worker = new_enricher(connection, Topics(prefix, 4, 4))
    source, publisher = worker._source, DyingPublisher(connection)
    source.__class__ = DyingSource
    assert isinstance(source, DyingSource)
    source.fate = publisher.fate = Fate(point, signal.Signals[how])
    source.batches = 0
    worker._publisher = publisher
    while True:
        worker.step()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""In: questions of shards. Out: their answers, or None where none came after some tries; asked by one thread.

No alert waits for it. The queue is short: where more crossings fire than can be looked into, the alerts beyond it stay
as they were sent, with the query to paste.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from runtime.clock import Clock
from streams.agents.asking_thread import AskingThread
from streams.agents.history import NotYet
from streams.agents.investigation.detail import (
    CauseQuestion,
    Found,
    Question,
    SiblingQuestion,
    SpendingDetail,
    SpikeQuestion,
)

_log = structlog.get_logger("agents")

_MOST_WAITING: Final = 100
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Looked:
    """`found` None: nobody could tell."""

    question: Question
    found: Found | None


@dataclass(slots=True, eq=False)
class _Waiting:
    question: Question
    tries: int
    due_s: float


class Investigator:
    """One per process. `open_detail` connects; it may raise NotYet, and is called in the thread. `first_pause_s`:
    between the first two tries; each later pause is twice as long.
    """

    def __init__(
        self, open_detail: Callable[[], SpendingDetail], clock: Clock, first_pause_s: float = _FIRST_PAUSE_S
    ) -> None:
        self._clock, self._first_pause_s = clock, first_pause_s
        self._waiting: list[_Waiting] = []
        self._looked: dict[int, list[Looked]] = {}
        self._thread = AskingThread("investigator", clock, open_detail, self._first_due, self._ask)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a question that hangs is left behind."""
        self._thread.stop()

    def put(self, question: Question) -> None:
        with self._thread.changed:
            if len(self._waiting) >= _MOST_WAITING:
                self._tell(Looked(question, None))
                return
            self._waiting.append(_Waiting(question, 0, self._clock.monotonic()))
            self._thread.changed.notify_all()

    def take(self, partition: int) -> list[Looked]:
        """What came of the shard's questions since the last call."""
        with self._thread.changed:
            return self._looked.pop(partition, [])

    def drop(self, partition: int) -> None:
        """The shard is not ours any more: who has it looks again."""
        with self._thread.changed:
            self._waiting = [one for one in self._waiting if one.question.partition != partition]
            self._looked.pop(partition, None)

    def _tell(self, looked: Looked) -> None:
        self._looked.setdefault(looked.question.partition, []).append(looked)

    def _first_due(self) -> tuple[float, _Waiting] | None:
        due = min(self._waiting, key=lambda one: one.due_s, default=None)
        return None if due is None else (due.due_s, due)

    def _ask(self, waiting: _Waiting) -> None:
        found: Found | None = None
        question, again = waiting.question, False
        try:
            found = _answer(self._thread.source(), question)
        except NotYet as not_yet:
            again = waiting.tries + 1 < _TRIES
            if not again:
                _log.warning("agents.not_investigated", alert=question.about, why=str(not_yet))
        except Exception as defect:  # noqa: BLE001 - an alert has been sent; what it lacks is told in the log
            _log.error("agents.not_investigated", alert=question.about, why=repr(defect))
        with self._thread.changed:
            # A shard that was let go of while it was asked wants no answer.
            if waiting not in self._waiting:
                return
            if again:
                waiting.tries += 1
                waiting.due_s = self._clock.monotonic() + self._first_pause_s * 2 ** (waiting.tries - 1)
            else:
                self._waiting.remove(waiting)
                self._tell(Looked(question, found))


def _answer(detail: SpendingDetail, question: Question) -> Found:
    match question:
        case CauseQuestion():
            return detail.causes(question)
        case SiblingQuestion():
            return detail.siblings(question)
        case SpikeQuestion():
            return detail.spike(question)

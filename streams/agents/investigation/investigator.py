"""In: questions of shards. Out: their answers, or None where none came after some tries; asked by one thread.

No alert waits for it. The queue is short: where more crossings fire than can be looked into, the alerts beyond it stay
as they were sent, with the query to paste.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from runtime.clock import Clock
from streams.agents.history import NotYet
from streams.agents.investigation.detail import CauseQuestion, Detail, Moves, Question, SpendingDetail

_log = structlog.get_logger("agents")

_MOST_WAITING: Final = 100
_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 1.0
_JOIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Looked:
    """`found` None: nobody could tell."""

    question: Question
    found: Detail | Moves | None


@dataclass(slots=True)
class _Waiting:
    question: Question
    tries: int
    due_s: float


class Investigator:
    """One per process. `open_detail` connects; it may raise NotYet, and is called in the thread."""

    def __init__(self, open_detail: Callable[[], SpendingDetail], clock: Clock) -> None:
        self._open_detail, self._clock = open_detail, clock
        self._waiting: deque[_Waiting] = deque()
        self._looked: dict[int, list[Looked]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="investigator", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A question that hangs is left behind: the thread is a daemon."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def put(self, question: Question) -> None:
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING:
                self._tell(Looked(question, None))
                return
            self._waiting.append(_Waiting(question, 0, self._clock.monotonic()))
            self._changed.notify_all()

    def take(self, partition: int) -> list[Looked]:
        """What came of the shard's questions since the last call."""
        with self._changed:
            return self._looked.pop(partition, [])

    def drop(self, partition: int) -> None:
        """The shard is not ours any more: who has it looks again."""
        with self._changed:
            self._waiting = deque(one for one in self._waiting if one.question.partition != partition)
            self._looked.pop(partition, None)

    def _tell(self, looked: Looked) -> None:
        self._looked.setdefault(looked.question.partition, []).append(looked)

    def _run(self) -> None:
        detail: SpendingDetail | None = None
        while (waiting := self._next()) is not None:
            found: Detail | Moves | None = None
            question, again = waiting.question, False
            try:
                if detail is None:
                    detail = self._open_detail()
                found = detail.causes(question) if isinstance(question, CauseQuestion) else detail.siblings(question)
            except NotYet as not_yet:
                again = waiting.tries + 1 < _TRIES
                if not again:
                    _log.warning("agents.not_investigated", budget=question.key.budget_id, why=str(not_yet))
            except Exception as defect:  # noqa: BLE001 - an alert has been sent; what it lacks is told to nobody
                _log.error("agents.not_investigated", budget=question.key.budget_id, why=repr(defect))
            with self._changed:
                if again:
                    pause = _FIRST_PAUSE_S * 2**waiting.tries
                    self._waiting.append(_Waiting(question, waiting.tries + 1, self._clock.monotonic() + pause))
                else:
                    self._tell(Looked(question, found))
        if detail is not None:
            detail.close()

    def _next(self) -> _Waiting | None:
        """The question that is due, waited for; None: the end."""
        with self._changed:
            while not self._ended:
                now = self._clock.monotonic()
                due = min(self._waiting, key=lambda one: one.due_s, default=None)
                if due is not None and due.due_s <= now:
                    self._waiting.remove(due)
                    return due
                self._changed.wait(None if due is None else due.due_s - now)
        return None

"""In: reviews that are due in shards. Out: their answers; asked by one thread beside the shards.

A question stays until it is answered, or a newer one of its kind takes its place, or its shard is let go of; between
two tries the pause doubles up to a minute. Nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter

from runtime.clock import Clock
from streams.agents.asking_thread import AskingThread
from streams.agents.history import NotYet
from streams.agents.reviews.questions import Answer, Question, RegressionQuestion, ReviewSource, kind_of

_log = structlog.get_logger("agents")

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_Key = tuple[int, type[Question]]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """One question and what came of it."""

    question: Question
    answer: Answer


@dataclass(slots=True, eq=False)
class _Waiting:
    question: Question
    due_s: float
    pause_s: float = _FIRST_PAUSE_S


class Reviewer:
    """One per process. `open_source` connects; it may raise NotYet, and is called in the thread."""

    def __init__(self, open_source: Callable[[], ReviewSource], clock: Clock, counter: Counter) -> None:
        """`counter` has the labels kind and result."""
        self._clock, self._counter = clock, counter
        self._waiting: dict[_Key, _Waiting] = {}
        self._reviewed: dict[int, list[Reviewed]] = {}
        self._thread = AskingThread("reviewer", clock, open_source, self._first_due, self._ask)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a question that hangs is left behind."""
        self._thread.stop()

    def put(self, question: Question) -> None:
        """Ask, in place of an earlier question of the same kind and shard."""
        with self._thread.changed:
            self._waiting[question.partition, type(question)] = _Waiting(question, self._clock.monotonic())
            self._thread.changed.notify_all()

    def take(self, partition: int) -> list[Reviewed]:
        """What was answered since the last call."""
        with self._thread.changed:
            return self._reviewed.pop(partition, [])

    def drop(self, partition: int) -> None:
        """The shard is not ours any more: who has it asks again."""
        with self._thread.changed:
            self._waiting = {key: one for key, one in self._waiting.items() if key[0] != partition}
            self._reviewed.pop(partition, None)

    def _first_due(self) -> tuple[float, _Waiting] | None:
        due = min(self._waiting.values(), key=lambda one: one.due_s, default=None)
        return None if due is None else (due.due_s, due)

    def _ask(self, waiting: _Waiting) -> None:
        question = waiting.question
        answer: Answer | None = None
        result = "answered"
        try:
            source = self._thread.source()
            if isinstance(question, RegressionQuestion):
                answer = source.workflows(question)
            else:
                answer = source.use_cases(question)
        except NotYet as not_yet:
            result = "waited"
            _log.info("agents.review_waits", kind=kind_of(question), why=str(not_yet))
        except Exception as defect:  # noqa: BLE001 - whatever it is, other alerts go on; a later hour asks again
            result = "failed"
            _log.error("agents.review_failed", kind=kind_of(question), why=repr(defect))
        self._counter.labels(kind_of(question), result).inc()
        key = question.partition, type(question)
        with self._thread.changed:
            if self._waiting.get(key) is not waiting:
                return
            if answer is None:
                waiting.due_s = self._clock.monotonic() + waiting.pause_s
                waiting.pause_s = min(_LONGEST_PAUSE_S, 2 * waiting.pause_s)
                return
            del self._waiting[key]
            self._reviewed.setdefault(question.partition, []).append(Reviewed(question, answer))

"""In: questions of shards. Out: the history's answers, or what it waits for; asked by one thread beside all of them.

Nothing waits for it: shards go on settling and telling. A question stays until it is answered, or its shard is let go
of; between two tries the pause doubles up to half a minute, so a history that is away is left in peace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import structlog

from runtime.clock import Clock
from streams.agents.asking_thread import AskingThread
from streams.agents.history import BaseHistory, BaseQuestion, NotYet

_log = structlog.get_logger("agents")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why there is no answer yet; with `renew` there will be none to this question."""

    question: BaseQuestion
    why: str
    renew: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """One table for each wanted budget."""

    question: BaseQuestion
    bases: list[pa.Table]


Told = Waiting | Answered


@dataclass(slots=True)
class _Open:
    question: BaseQuestion
    due_s: float


class BaseAsker:
    """One per process. `open_history` connects; it may raise NotYet, and is called in the thread."""

    def __init__(self, open_history: Callable[[], BaseHistory], clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, _Open] = {}
        self._pause: dict[int, float] = {}
        self._told: dict[int, Told] = {}
        self._thread = AskingThread("bases", clock, open_history, self._first_due, self._ask)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a question that hangs in the history is left behind."""
        self._thread.stop()

    def put(self, question: BaseQuestion) -> None:
        """Ask for a shard, in place of whatever it asked before."""
        with self._thread.changed:
            pause = self._pause.setdefault(question.partition, 0.0)
            self._open[question.partition] = _Open(question, self._clock.monotonic() + pause)
            self._told.pop(question.partition, None)
            self._thread.changed.notify_all()

    def take(self, partition: int) -> Told | None:
        """What has become of the shard's question since the last call."""
        with self._thread.changed:
            return self._told.pop(partition, None)

    def drop(self, partition: int) -> None:
        """The shard is not ours any more."""
        with self._thread.changed:
            self._open.pop(partition, None)
            self._told.pop(partition, None)
            self._pause.pop(partition, None)

    def _first_due(self) -> tuple[float, BaseQuestion] | None:
        due = min(self._open.values(), key=lambda one: one.due_s, default=None)
        return None if due is None else (due.due_s, due.question)

    def _ask(self, question: BaseQuestion) -> None:
        try:
            told: Told = Answered(question, self._thread.source().bases(question))
        except NotYet as not_yet:
            told = Waiting(question, str(not_yet), not_yet.renew)
        except Exception as defect:  # noqa: BLE001 - whatever it is, alerts go on, and the status says it
            _log.error("agents.base_failed", partition=question.partition, error=f"{type(defect).__name__}: {defect}")
            told = Waiting(question, f"asking ClickHouse failed: {type(defect).__name__}: {defect}", renew=True)
        self._tell(question, told)

    def _tell(self, question: BaseQuestion, told: Told) -> None:
        with self._thread.changed:
            partition = question.partition
            held = self._open.get(partition)
            if held is None or held.question is not question:
                return
            self._told[partition] = told
            if isinstance(told, Answered):
                self._pause[partition] = 0.0
                del self._open[partition]
                return
            pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._pause.get(partition, 0.0)))
            self._pause[partition] = pause
            held.due_s = self._clock.monotonic() + pause
            if told.renew:
                del self._open[partition]

"""In: questions of shards. Out: the history's answers, or what it waits for; asked by one thread beside all of them.

Nothing waits for it: shards go on settling and telling. A question stays until it is answered, or its shard is let go
of; between two tries the pause doubles up to half a minute, so a history that is away is left in peace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import structlog

from runtime.clock import Clock
from streams.agents.history import BaseHistory, BaseQuestion, NotYet

_log = structlog.get_logger("agents")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_JOIN_S: Final = 5.0


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
        self._open_history, self._clock = open_history, clock
        self._open: dict[int, _Open] = {}
        self._pause: dict[int, float] = {}
        self._told: dict[int, Told] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="bases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A question that hangs in the history is left behind: the thread is a daemon."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def put(self, question: BaseQuestion) -> None:
        """Ask for a shard, in place of whatever it asked before."""
        with self._changed:
            pause = self._pause.setdefault(question.partition, 0.0)
            self._open[question.partition] = _Open(question, self._clock.monotonic() + pause)
            self._told.pop(question.partition, None)
            self._changed.notify_all()

    def take(self, partition: int) -> Told | None:
        """What has become of the shard's question since the last call."""
        with self._changed:
            return self._told.pop(partition, None)

    def drop(self, partition: int) -> None:
        """The shard is not ours any more."""
        with self._changed:
            self._open.pop(partition, None)
            self._told.pop(partition, None)
            self._pause.pop(partition, None)

    def _run(self) -> None:
        history: BaseHistory | None = None
        while (question := self._next()) is not None:
            try:
                if history is None:
                    history = self._open_history()
                told: Told = Answered(question, history.bases(question))
            except NotYet as not_yet:
                told = Waiting(question, str(not_yet), not_yet.renew)
            except Exception as defect:  # noqa: BLE001 - whatever it is, alerts go on, and the status says it
                _log.error(
                    "agents.base_failed", partition=question.partition, error=f"{type(defect).__name__}: {defect}"
                )
                told = Waiting(question, f"asking ClickHouse failed: {type(defect).__name__}: {defect}", renew=True)
            self._tell(question, told)
        if history is not None:
            history.close()

    def _next(self) -> BaseQuestion | None:
        """The question that is due, waited for; None: the end."""
        with self._changed:
            while not self._ended:
                now = self._clock.monotonic()
                due = min(self._open.values(), key=lambda one: one.due_s, default=None)
                if due is not None and due.due_s <= now:
                    return due.question
                self._changed.wait(None if due is None else due.due_s - now)
        return None

    def _tell(self, question: BaseQuestion, told: Told) -> None:
        with self._changed:
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

"""In: questions that are due at some time. Out: each handed to whoever asks it, one after another, in one thread.

What is asked, how often again, and what becomes of the answers is the user's: it keeps its questions under `changed`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from runtime.clock import Clock

_JOIN_S: Final = 5.0


class Closable(Protocol):
    """What answers, and can be given back."""

    def close(self) -> None: ...


Question = TypeVar("Question")
Source = TypeVar("Source", bound=Closable)


class AskingThread(Generic[Question, Source]):
    """`first_due`, called under `changed`: the monotonic second at which the next question is due, and the question;
    None: there is none. `ask`, called in the thread without the lock, must not raise. `open_source` connects; it is
    called at most once at a time, by `source()`, and what it raises is what `source()` raises.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        open_source: Callable[[], Source],
        first_due: Callable[[], tuple[float, Question] | None],
        ask: Callable[[Question], None],
    ) -> None:
        #: Guards what the user keeps; notify it when a question was put.
        self.changed = threading.Condition()
        self._clock = clock
        self._open_source, self._first_due, self._ask = open_source, first_due, ask
        self._opened: Source | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread. A question that hangs is left behind: the thread is a daemon."""
        with self.changed:
            self._ended = True
            self.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def source(self) -> Source:
        """Whoever answers, connected when first needed. In the thread alone."""
        if self._opened is None:
            self._opened = self._open_source()
        return self._opened

    def _run(self) -> None:
        while (due := self._next()) is not None:
            self._ask(due[0])
        if self._opened is not None:
            self._opened.close()

    def _next(self) -> tuple[Question] | None:
        """The question that is due, waited for; None: the end."""
        with self.changed:
            while not self._ended:
                now = self._clock.monotonic()
                due = self._first_due()
                if due is not None and due[0] <= now:
                    return (due[1],)
                self.changed.wait(None if due is None else due[0] - now)
        return None

"""In: event values from any thread. Out: the same events on Kafka, sent by a background thread, and every loss told.

`report()` only appends to a bounded queue: it never waits for Kafka and never raises because of it. The thread starts
with the first report, so that a service may construct its reporter before it forks.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from sources.errors import DeliveryError
from sources.messages import EventKind
from sources.reporter.dispatcher import Dispatcher
from sources.reporter.encoding import EncodedEvents
from sources.reporter.outbox import Outbox, ReporterStats

E = TypeVar("E")
OnError = Callable[[Sequence[E], DeliveryError], None]
Encode = Callable[[Sequence[E], str, Sequence[int]], EncodedEvents]

LOG: Final = logging.getLogger("streamgauge.sources")


@dataclass(frozen=True, slots=True)
class Limits:
    """`capacity`: events held unacknowledged; beyond them new ones are dropped. `linger_ms`: how long to wait for
    company.

    `batch`: events encoded at once, and in one message at most. `delivery_timeout_s`: how long an outage is waited out.
    `exit_timeout_s`: how long the end of the process waits for acknowledgements.
    """

    capacity: int = 100_000
    linger_ms: int = 50
    batch: int = 500
    delivery_timeout_s: float = 120.0
    exit_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.batch < 1 or self.linger_ms < 0 or self.delivery_timeout_s <= 0:
            raise ValueError(f"{self} is not usable: capacity and batch are at least 1, times are not negative")


class Reporter(Generic[E]):
    """What both reporters share. Thread-safe; use one per process and keep it.

    `on_error(events, error)` is called on the background thread for every loss; without it, losses are logged. Of
    dropped events it gets at most a thousand at a time; `error.dropped` counts them all.
    """

    def __init__(
        self,
        kafka: str | KafkaConnection,
        source: str,
        topic: str,
        event: EventKind,
        encode: Encode[E],
        on_error: OnError[E] | None,
        limits: Limits,
        clock: Clock,
    ) -> None:
        if not source:
            raise ValueError("source is empty: give the stable name of the service that reports, such as 'support-bot'")
        self._connection = KafkaConnection(kafka) if isinstance(kafka, str) else kafka
        self._source, self._topic, self._event, self._encode = source, topic, event, encode
        self._on_error = on_error or _log_loss
        self._limits, self._clock = limits, clock
        self._outbox: Outbox[E] = Outbox(limits.capacity, limits.batch, limits.linger_ms / 1000)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._dispatcher: Dispatcher[E] | None = None
        me = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _after_fork(me))
        self._at_exit = lambda: _at_exit(me)
        atexit.register(self._at_exit)

    def report(self, event: E) -> bool:
        """Queue one event. False: it was dropped, because the queue is full or the reporter is closed.

        Never waits for Kafka and never raises because of it.
        """
        accepted = self._outbox.put(event, self._clock.now_us())
        if self._thread is None:
            self._start()
        return accepted

    @property
    def stats(self) -> ReporterStats:
        return self._outbox.stats()

    def flush(self, timeout_s: float = 10.0) -> int:
        """Wait until everything reported is acknowledged; returns how many events are not yet (0: all are).

        Raises DeliveryError when events were lost (refused, timed out or dropped) since the last flush.
        """
        left = self._outbox.wait_settled(timeout_s)
        losses = self._outbox.losses()
        if losses.failed or losses.dropped:
            raise DeliveryError(self._topic, losses.failed, losses.dropped, losses.cause)
        return left

    def close(self, timeout_s: float = 10.0) -> int:
        """Flush, then stop the thread. Returns how many events were not acknowledged and are given up.

        Raises DeliveryError as flush does.
        """
        try:
            return self.flush(timeout_s)
        finally:
            self._outbox.stop()
            if self._thread is not None:
                self._thread.join(timeout_s)
            atexit.unregister(self._at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            left = self.close()
        except DeliveryError:
            # An error of the caller's own comes first; this one went to on_error already.
            if kind is None:
                raise
            return
        if left and kind is None:
            raise DeliveryError(self._topic, left, 0, "no acknowledgement came before the reporter was closed")

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"streamgauge-{self._event}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        """The background thread."""
        outbox = self._outbox
        dispatcher = self._dispatcher = Dispatcher[E](
            self._connection,
            self._topic,
            self._event,
            self._limits.delivery_timeout_s,
            self._settled,
            lambda: outbox.closing,
        )
        while True:
            # 1. take what has gathered; a crash of the process from here on loses it (Kafka has not acknowledged it)
            taken = outbox.take()
            # 2. encode and hand to librdkafka, which retries until the delivery timeout
            if taken:
                events = [event for event, _ in taken]
                try:
                    encoded = self._encode(events, self._source, [stamp for _, stamp in taken])
                    dispatcher.send(events, encoded, self._limits.batch)
                except Exception as error:  # noqa: BLE001  # one bad batch must not end the reporting of all others
                    self._settled(events, f"{type(error).__name__}: {error}")
            # 3. collect acknowledgements; a crash before them loses nothing, only the knowledge of it
            dispatcher.poll(0.0)
            # 4. tell of what found no room meanwhile
            count, dropped, cause = outbox.untold_dropped()
            if count:
                self._tell(dropped, DeliveryError(self._topic, 0, count, cause))
            if not taken and outbox.closing:
                dispatcher.abandon("the reporter was closed before Kafka acknowledged")
                return

    def _settled(self, events: Sequence[E], cause: str | None) -> None:
        self._outbox.settle(len(events), cause)
        if cause is not None:
            self._tell(events, DeliveryError(self._topic, len(events), 0, cause))

    def _tell(self, events: Sequence[E], error: DeliveryError) -> None:
        try:
            self._on_error(events, error)
        except Exception:  # the callback is the service's code: its bug must not stop the reporting
            LOG.exception("on_error raised while it was told: %s", error)

    def _forget(self) -> None:
        """In a forked child: what is queued belongs to the parent, whose thread sends it; the child starts empty."""
        if self._dispatcher is not None:
            self._dispatcher.leak()
        self._outbox = Outbox(self._limits.capacity, self._limits.batch, self._limits.linger_ms / 1000)
        self._thread, self._dispatcher = None, None
        self._starting = threading.Lock()


def _log_loss(_events: Sequence[Any], error: DeliveryError) -> None:
    LOG.error("%s", error)


def _after_fork(ref: weakref.ref[Reporter[Any]]) -> None:
    reporter = ref()
    if reporter is not None:
        reporter._forget()


def _at_exit(ref: weakref.ref[Reporter[Any]]) -> None:
    reporter = ref()
    if reporter is None:
        return
    try:
        left = reporter.close(reporter._limits.exit_timeout_s)
    except DeliveryError:
        return  # on_error was told already
    if left:
        LOG.error("topic %s: %d events were not acknowledged before the process ended", reporter._topic, left)

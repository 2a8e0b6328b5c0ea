"""In: batches of events with their encoding. Out: messages given to librdkafka, and for each event what became
of it.

Used by the reporter's background thread only.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from runtime.connection import KafkaConnection
from sources.bulk import partition_count, producer_config
from sources.errors import SourceError
from sources.messages import EventKind, Message, frame_datums, partitions_of
from sources.reporter.encoding import EncodedEvents

E = TypeVar("E")
Settled = Callable[[Sequence[E], str | None], None]

#: One question to the brokers for the partition count, and the pause before the next.
_ASK_S: Final = 2.0


class Dispatcher(Generic[E]):
    """Owns the Kafka client. `settled(events, cause)` is called once for every event given to `send`."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        event: EventKind,
        timeout_s: float,
        settled: Settled[E],
        stopping: Callable[[], bool],
    ) -> None:
        self._connection, self._topic, self._event = connection, topic, event
        self._timeout_s, self._settled, self._stopping = timeout_s, settled, stopping
        self._producer: Producer | None = None
        self._partitions = 0
        self._trouble = ""
        self._in_flight: dict[int, list[E]] = {}
        self._numbers = itertools.count()
        self._broken = False

    def send(self, events: list[E], encoded: EncodedEvents, batch: int) -> None:
        """Give the events to librdkafka. While Kafka is away, waits for its metadata up to the delivery timeout, then
        settles them as lost. `encoded` is in the order of `events`."""
        try:
            self._connect()
        except SourceError as error:
            self._settled(events, self._because(str(error)))
            return
        assert self._producer is not None
        where = partitions_of(encoded.ids, self._partitions).tolist()
        order = list(range(len(events)))
        if batch > 1 and self._event == "usage_event":
            order.sort(key=where.__getitem__)
        queue = iter([events[place] for place in order])
        for message in frame_datums(encoded.ids, encoded.datums, self._partitions, batch, self._event):
            self._produce(message, list(itertools.islice(queue, message.events)))

    def poll(self, timeout_s: float) -> None:
        """Collect acknowledgements."""
        if self._producer is not None:
            self._producer.poll(timeout_s)
        if self._broken:
            # An idempotent producer that met a fatal error refuses all further work; the next batch gets a new one.
            self.abandon("the Kafka client met a fatal error")
            self._broken = False

    def abandon(self, cause: str) -> None:
        """Give up what is in flight and let the client go."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
        for number in list(self._in_flight):
            self._settle(number, cause)
        self._producer, self._partitions = None, 0

    def leak(self) -> None:
        """Keep the client for ever: in a forked child its threads are gone, and destroying it would wait for them."""
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))

    def _connect(self) -> None:
        if self._producer is None:
            self._producer = Producer(producer_config(self._connection, self._timeout_s, 5, self._client_error))
            self._partitions = 0
        deadline = time.monotonic() + self._timeout_s
        while not self._partitions:
            try:
                left = max(0.1, deadline - time.monotonic())
                self._partitions = partition_count(
                    self._producer, self._topic, self._connection.bootstrap, min(_ASK_S, left)
                )
            except SourceError:
                if self._stopping() or time.monotonic() >= deadline:
                    raise
                self._producer.poll(min(_ASK_S, 0.2))

    def _produce(self, message: Message, events: list[E]) -> None:
        assert self._producer is not None
        number = next(self._numbers)
        self._in_flight[number] = events
        done = partial(self._done, number)
        while True:
            try:
                self._producer.produce(self._topic, message.value, message.key, message.partition, on_delivery=done)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _done(self, number: int, error: KafkaError | None, _message: KafkaMessage) -> None:
        self._settle(number, None if error is None else self._because(error.str()))
        if error is None:
            self._trouble = ""
        elif error.fatal():
            self._broken = True

    def _settle(self, number: int, cause: str | None) -> None:
        events = self._in_flight.pop(number, None)
        if events is not None:
            self._settled(events, cause)

    def _because(self, cause: str) -> str:
        return f"{cause} (the client said: {self._trouble})" if self._trouble else cause

    def _client_error(self, error: KafkaError) -> None:
        self._trouble = error.str()
        self._broken = self._broken or error.fatal()

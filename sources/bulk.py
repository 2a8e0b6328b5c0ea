"""In: whole tables of events, or ready messages. Out: both on Kafka, acknowledged and counted, for replay and fleet.

Blocks when Kafka is slower than its caller (unlike the reporter, which serves a request that must not wait).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from runtime.connection import KafkaConnection
from sources.errors import DeliveryError, KafkaUnreachable, TopicMissing
from sources.messages import EventKind, Message, frame_rows

METADATA_TIMEOUT_S: Final = 15.0
#: How long a single wait for room or for acknowledgements lasts before looking again.
_STEP_S: Final = 0.5


def partition_count(producer: Producer, topic: str, bootstrap: str, timeout_s: float = METADATA_TIMEOUT_S) -> int:
    """Partitions of `topic` as the broker has them. Raises KafkaUnreachable or TopicMissing."""
    try:
        # Asking for all topics and not for this one: a broker may create a topic that is asked for by name, by its own
        # default count of partitions.
        found = producer.list_topics(timeout=timeout_s).topics.get(topic)
    except KafkaException as error:
        raise KafkaUnreachable(bootstrap, timeout_s, str(error.args[0].str())) from error
    if found is None or found.error is not None or not found.partitions:
        raise TopicMissing(topic)
    return len(found.partitions)


def producer_config(
    connection: KafkaConnection,
    delivery_timeout_s: float,
    linger_ms: int,
    on_client_error: Callable[[KafkaError], None],
) -> dict[str, Any]:
    """librdkafka's configuration of all our event producers. `on_client_error` gets what goes wrong with the
    connection.
    """
    return {
        **connection.librdkafka(
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=linger_ms,
            delivery_timeout_ms=int(delivery_timeout_s * 1000),
            message_max_bytes=1_000_000,
            queue_buffering_max_messages=200_000,
        ),
        # Without an error callback librdkafka's fatal errors surface as SystemError in the client's own code.
        "error_cb": on_client_error,
        # What it would write to standard error reaches the caller as the cause of a DeliveryError.
        "log_level": 2,
    }


class BulkProducer:
    """Sends tables and messages to one topic. `with` flushes it: all is acknowledged, or DeliveryError says what is
    not.

    Counts are of events, not of messages. Not thread-safe.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        *,
        event: EventKind = "usage_event",
        batch: int = 200,
        delivery_timeout_s: float = 120.0,
        metadata_timeout_s: float = METADATA_TIMEOUT_S,
    ) -> None:
        self.topic = topic
        self.sent = self.delivered = self.failed = self.messages = 0
        self._event: EventKind = event
        self._batch = batch
        self._timeout_s = delivery_timeout_s
        self._cause = "unknown"
        self._producer = Producer(producer_config(connection, delivery_timeout_s, 20, self._client_error))
        self.partitions = partition_count(self._producer, topic, connection.bootstrap, metadata_timeout_s)

    def send(self, table: pa.Table) -> int:
        """Encode and send all rows, in order within each partition. Returns their number. Blocks while the queue is
        full.
        """
        return self.send_messages(frame_rows(table, self.partitions, self._batch, self._event))

    def send_messages(self, messages: Iterable[Message]) -> int:
        """Send ready messages as they are; returns how many events. Blocks while the queue is full."""
        produce, topic, events = self._producer.produce, self.topic, 0
        callbacks: dict[int, partial[None]] = {}
        for message in messages:
            done = callbacks.get(message.events)
            if done is None:
                done = callbacks[message.events] = partial(self._done, message.events)
            while True:
                try:
                    produce(topic, message.value, message.key, message.partition, on_delivery=done)
                    break
                except BufferError:
                    self._producer.poll(_STEP_S)
            events += message.events
            self.messages += 1
        self.sent += events
        self._producer.poll(0)
        return events

    def flush(self) -> None:
        """Wait until every event is acknowledged or given up (delivery timeout): then DeliveryError."""
        while self._producer.flush(_STEP_S):
            pass
        if self.failed:
            raise DeliveryError(self.topic, self.failed, 0, self._cause)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
            self._producer.flush(_STEP_S)

    def _done(self, events: int, error: KafkaError | None, _message: KafkaMessage) -> None:
        if error is None:
            self.delivered += events
        else:
            self.failed += events
            self._cause = error.str()

    def _client_error(self, error: KafkaError) -> None:
        self._cause = error.str()

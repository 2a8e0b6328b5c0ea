"""In: output messages. Out: the same messages, acknowledged by the broker; or an error that stops the process."""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.connection import KafkaConnection
from streams.enrich.outputs import Output

_log = structlog.get_logger("enrich")


class DeliveryFailed(RuntimeError):
    """The broker refused an output for good (too large, not authorised): retrying would refuse it again."""


class Publisher:
    """An idempotent producer. `publish` returns only when every message is acknowledged by all in-sync replicas.

    An outage is waited out: messages do not expire in the client, and the batch is not finished until they are through.
    """

    def __init__(self, connection: KafkaConnection) -> None:
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            connection.librdkafka(
                enable_idempotence=True,
                acks="all",
                linger_ms=2,
                message_timeout_ms=0,
                queue_buffering_max_messages=100_000,
                queue_buffering_max_kbytes=1_048_576,
                message_max_bytes=1_000_000,
            )
        )

    def publish(self, messages: Iterable[Output]) -> int:
        """Produce and await all. Returns how many. Raises DeliveryFailed."""
        count = 0
        for message in messages:
            self._produce(message)
            count += 1
        waiting_since = time.monotonic()
        while (left := self._producer.flush(5.0)) > 0:
            _log.warning("produce.waiting", messages=left, seconds=round(time.monotonic() - waiting_since))
        if self._failed:
            raise DeliveryFailed(f"Kafka refused an output: {self._failed[0].str()}")
        return count

    def _produce(self, message: Output) -> None:
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=message.headers,
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.5)
            except KafkaException as error:
                raise DeliveryFailed(f"cannot produce to {message.topic}: {error.args[0].str()}") from error

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

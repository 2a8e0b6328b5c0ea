"""In: output messages. Out: the same messages, acknowledged by the broker; or an error that stops the process."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.connection import KafkaConnection
from streams.enrich.outputs import Output
from streams.enrich.patience import Patience, Stopping, Wait

_log = structlog.get_logger("enrich")

#: Acknowledgements that take longer than this are an outage; before that they are a busy broker.
_BUSY_S: Final = 5.0


class DeliveryFailed(RuntimeError):
    """The broker refused an output for good (too large, not authorised): retrying would refuse it again."""


class Publisher:
    """An idempotent producer. `publish` returns only when every message is acknowledged by all in-sync replicas.

    An outage is waited out: messages do not expire in the client, and the batch is not finished until they are through.
    The group may have given the partitions to somebody else by then: what is written late is a repeat to its readers.
    """

    def __init__(self, connection: KafkaConnection, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._failed: list[KafkaError] = []
        config = connection.librdkafka(
            enable_idempotence=True,
            acks="all",
            linger_ms=2,
            message_timeout_ms=0,
            queue_buffering_max_messages=100_000,
            queue_buffering_max_kbytes=1_048_576,
            message_max_bytes=1_000_000,
        )
        self._producer = Producer({**config, "error_cb": self._heard})

    def publish(self, messages: Iterable[Output]) -> int:
        """Produce and await all. Returns how many. Raises DeliveryFailed; Stopping, when told to stop in an outage."""
        count = 0
        try:
            for message in messages:
                self._produce(message)
                count += 1
            self._await_all()
        except Stopping:
            # A batch that is half there is what the intent is for; what is still queued would hold up the end.
            self._producer.purge()
            raise
        if self._failed:
            raise DeliveryFailed(f"Kafka refused an output: {self._failed[0].str()}")
        return count

    def _await_all(self) -> None:
        began, wait = time.monotonic(), None
        while (left := self._producer.flush(0.5)) > 0:
            if time.monotonic() - began >= _BUSY_S:
                wait = wait or self._patience.begin("produce.waiting")
                self._outage(wait, left)

    def _produce(self, message: Output) -> None:
        began, wait = time.monotonic(), None
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
                if time.monotonic() - began >= _BUSY_S:
                    wait = wait or self._patience.begin("produce.waiting")
                    self._outage(wait, len(self._producer))
            except KafkaException as error:
                raise DeliveryFailed(f"cannot produce to {message.topic}: {error.args[0].str()}") from error

    def _outage(self, wait: Wait, left: int) -> None:
        wait.going_on("Kafka has not acknowledged what was written", messages=left)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

    def _heard(self, error: KafkaError) -> None:
        """What concerns no message: each failed attempt to connect, while `produce.waiting` says the same more calmly.
        A fatal error fails messages too, and is raised for those.
        """
        if error.fatal():
            _log.error("produce.fatal", error=error.str())

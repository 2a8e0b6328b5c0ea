"""In: one partition and an offset. Out: its messages from there to the end, read outside the group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from streams.enrich.patience import Patience, Stopping

#: What a consumer that never resets its offsets says when a position is outside the log.
GONE: Final = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)
#: The embedded broker never answers a fetch behind the end; a broker that answers anything does so long before this.
_SILENCE_S: Final = 15.0
#: How long one question to a broker may take before its outage is the caller's to wait out.
ANSWER_S: Final = 5.0
_TAKE: Final = 1_000


class OffsetsGone(RuntimeError):
    """An offset that should be there is outside the log: events may have expired unread. Never skipped silently."""


def read_on(
    connection: KafkaConnection, group: str, topic: str, partition: int, first: int, patience: Patience | None = None
) -> Iterator[Message]:
    """Messages from `first` to the end that the log has when it is reached. Waits out a broker that is away.

    The end is where the broker says so (EOF), not the high watermark: the embedded broker's is that of its last batch's
    first record. Raises OffsetsGone when `first` is outside the log, and Stopping.
    """
    patience = patience or Patience()
    consumer = Consumer(
        connection.consumer(
            group,
            enable_partition_eof=True,
            fetch_message_max_bytes=16_000_000,
            queued_max_messages_kbytes=64_000,
        )
    )
    wait = None
    try:
        low, _ = log_bounds(consumer, topic, partition, ANSWER_S)
        if first < low:
            raise OffsetsGone(f"{topic}[{partition}] begins at {low}, offset {first} is wanted")
        consumer.assign([TopicPartition(topic, partition, first)])
        answered = time.monotonic()
        while True:
            messages = consumer.consume(_TAKE, 0.02)
            if not messages:
                silent_s = time.monotonic() - answered
                if patience.over and silent_s > 1.0:
                    raise Stopping(f"{topic}[{partition}] does not answer")
                if silent_s > _SILENCE_S:
                    log_bounds(consumer, topic, partition, ANSWER_S)
                    raise OffsetsGone(f"{topic}[{partition}] answers, but holds nothing at offset {first}")
                continue
            for message in messages:
                error = message.error()
                if error is None:
                    answered, wait = time.monotonic(), None
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif error.code() in GONE:
                    raise OffsetsGone(f"{topic}[{partition}] does not reach to offset {first}: {error.str()}")
                elif is_transient(error):
                    answered, wait = time.monotonic(), wait or patience.begin("kafka.waiting")
                    wait.going_on(error.str() or "Kafka does not answer", topic=topic, partition=partition)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()

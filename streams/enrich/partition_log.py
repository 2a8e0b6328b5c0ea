"""In: one partition and an offset. Out: its messages from there to the end, read outside the group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds

_log = structlog.get_logger("enrich")

#: What a consumer that never resets its offsets says when a position is outside the log.
GONE: Final = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)
#: The embedded broker never answers a fetch behind the end; a broker that answers anything does so long before this.
_SILENCE_S: Final = 15.0


class OffsetsGone(RuntimeError):
    """An offset that should be there is outside the log: events may have expired unread. Never skipped silently."""


def read_on(connection: KafkaConnection, group: str, topic: str, partition: int, first: int) -> Iterator[Message]:
    """Messages from `first` to the end that the log has when it is reached. Waits out a broker that is away.

    The end is where the broker says so (EOF), not the high watermark: the embedded broker's is that of its last batch's
    first record. Raises OffsetsGone when `first` is outside the log.
    """
    consumer = Consumer(connection.consumer(group, enable_partition_eof=True))
    try:
        low, _ = log_bounds(consumer, topic, partition)
        if first < low:
            raise OffsetsGone(f"{topic}[{partition}] begins at {low}, offset {first} is wanted")
        consumer.assign([TopicPartition(topic, partition, first)])
        answered = time.monotonic()
        while True:
            message = consumer.poll(0.5)
            if message is None:
                if time.monotonic() - answered > _SILENCE_S:
                    log_bounds(consumer, topic, partition)
                    raise OffsetsGone(f"{topic}[{partition}] answers, but holds nothing at offset {first}")
                continue
            error = message.error()
            if error is None:
                answered = time.monotonic()
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            elif error.code() in GONE:
                raise OffsetsGone(f"{topic}[{partition}] does not reach to offset {first}: {error.str()}")
            elif is_transient(error):
                answered = time.monotonic()
                _log.warning("kafka.waiting", error=error.str())
            else:
                raise KafkaException(error)
    finally:
        consumer.close()

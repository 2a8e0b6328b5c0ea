"""In: a partition. Out: the offsets at which its log begins and ends, and what a group has committed, once the broker
can tell.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_log = structlog.get_logger("kafka")

#: What a broker says of a partition whose leader is being chosen, and what the client says of a broker that is away.
TRANSIENT = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)


def is_transient(error: KafkaError) -> bool:
    """Whether waiting may mend it."""
    return error.retriable() or error.code() in TRANSIENT


def log_bounds(consumer: Consumer, topic: str, partition: int, wait_s: float = 60.0) -> tuple[int, int]:
    """[low, high) of a partition's log. Waits through a leader's election; KafkaException when that takes too long.

    The embedded broker's `high` is the first offset of its last batch plus one: whoever must reach the end reads on
    until the consumer tells it (enable.partition.eof).
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            return low, high
        except KafkaException as error:
            if not is_transient(error.args[0]) or time.monotonic() > deadline:
                raise
            _log.warning("kafka.waiting", topic=topic, partition=partition, error=error.args[0].str())
            time.sleep(0.2)


def committed_offsets(
    consumer: Consumer, places: Sequence[TopicPartition], wait_s: float = 60.0
) -> list[TopicPartition]:
    """What the consumer's group has committed there, with metadata; OFFSET_INVALID where nothing. Waits through a
    coordinator's election; KafkaException when that takes too long.
    """
    deadline = time.monotonic() + wait_s
    while places:
        try:
            found = consumer.committed(list(places), timeout=min(wait_s, 30.0))
            failed = next((one.error for one in found if one.error is not None), None)
            if failed is None:
                return list(found)
            raise KafkaException(failed)
        except KafkaException as error:
            if not is_transient(error.args[0]) or time.monotonic() > deadline:
                raise
            _log.warning("kafka.waiting", what="committed offsets", error=error.args[0].str())
            time.sleep(0.2)
    return []

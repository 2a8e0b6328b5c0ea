"""In: a topic. Out: the offsets at which each of its partitions begins and ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ends:
    """[low, end) of one partition's log."""

    low: int
    end: int


def log_ends(connection: KafkaConnection, topic: str, partitions: Iterable[int]) -> dict[int, Ends]:
    """By partition. The end is where the broker says so (EOF): the embedded broker's high watermark is that of its last
    batch's first record, so one batch is read. TimeoutError when a partition does not answer.
    """
    consumer = Consumer(
        connection.consumer(
            f"{connection.client_id}.reader.unused", enable_partition_eof=True, isolation_level="read_uncommitted"
        )
    )
    try:
        bounds = {partition: log_bounds(consumer, topic, partition) for partition in partitions}
        consumer.assign([TopicPartition(topic, p, max(low, high - 1)) for p, (low, high) in bounds.items()])
        ends: dict[int, Ends] = {}
        waited_s = 0.0
        while len(ends) < len(bounds):
            # Few at once, because the client waits until it has as many as it was asked for.
            message = consumer.poll(0.2)
            if message is None:
                waited_s += 0.2
                if waited_s > _TIMEOUT_S:
                    raise TimeoutError(f"{topic} was not read to its end: Kafka said nothing for {_TIMEOUT_S:.0f} s")
                continue
            error, partition = message.error(), message.partition()
            if error is None or partition is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                ends[partition] = Ends(bounds[partition][0], message.offset() or 0)
            elif not is_transient(error):
                raise KafkaException(error)
        return ends
    finally:
        consumer.close()

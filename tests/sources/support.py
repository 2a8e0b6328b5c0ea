"""In: a broker's address and topics. Out: topics made, and everything that was sent to one of them, as the pipeline
reads it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.decoding import Decoded, Decoder
from schemas.topics import Topics

PARTITIONS = 4
DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One message as a consumer saw it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def make_topics(bootstrap: str, prefix: str) -> Topics:
    """`usage.events` and `usage.outcomes` under the prefix, with PARTITIONS partitions each."""
    topics = Topics(prefix, event_partitions=PARTITIONS)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic(name, PARTITIONS, 1) for name in (topics.events, topics.outcomes)]
    for future in admin.create_topics(wanted).values():
        future.result(DEADLINE_S)
    return topics


def read_all(bootstrap: str, topic: str) -> list[Received]:
    """Every message of the topic, in order of partition and offset."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-test", "enable.auto.commit": False})
    try:
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), DEADLINE_S)[1] for p in range(PARTITIONS)}
        consumer.assign([TopicPartition(topic, p, 0) for p in ends])
        received: list[Received] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(received) < sum(ends.values()):
            assert time.monotonic() < deadline, f"{len(received)} of {sum(ends.values())} messages within the deadline"
            for message in consumer.consume(1_000, 0.2):
                assert message.error() is None, message.error()
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                received.append(Received(partition, offset, _bytes(message.key()), _bytes(message.value())))
        return sorted(received, key=lambda one: (one.partition, one.offset))
    finally:
        consumer.close()


def usage_of(messages: list[Received]) -> Decoded:
    """All usage events in the messages."""
    return Decoder("usage_event").decode([message.value for message in messages])


def usage_table(bootstrap: str, topic: str) -> pa.Table:
    """All usage events of the topic; fails when one cannot be decoded."""
    decoded = usage_of(read_all(bootstrap, topic))
    assert decoded.failures == []
    return decoded.table


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value

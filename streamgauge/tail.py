"""In: a topic with one partition. Out: its records from the beginning, groupless: to its present end, or on and on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from runtime.connection import KafkaConnection


class TopicMissing(RuntimeError):
    """The topic does not exist."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the topic {topic} does not exist: create the topics with `streamgauge topics`")


@dataclass(frozen=True, slots=True)
class Record:
    """One message; `value` None is a tombstone."""

    offset: int
    key: bytes | None
    value: bytes | None


def read_topic(
    connection: KafkaConnection, topic: str, *, follow: bool = False, wait_s: float = 20.0
) -> Iterator[Record]:
    """Yield what is there; with `follow`, go on until the caller stops. TimeoutError when the end is not reached in
    `wait_s`.
    """
    consumer = Consumer(
        connection.consumer(
            f"{connection.client_id}.reader.unused",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            enable_partition_eof=True,
        )
    )
    try:
        metadata = consumer.list_topics(topic, timeout=wait_s).topics.get(topic)
        if metadata is None or metadata.error is not None:
            raise TopicMissing(topic)
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        silent_s = 0.0
        while True:
            messages = consumer.consume(1_000, 0.2)
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        if not follow:
                            return
                        continue
                    if error.retriable() or error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                        continue
                    raise KafkaException(error)
                offset = message.offset()
                assert offset is not None
                yield Record(offset, message.key(), message.value())
            silent_s = 0.0 if messages else silent_s + 0.2
            if silent_s > wait_s and not follow:
                raise TimeoutError(f"{topic} was not read to its end: Kafka said nothing for {wait_s:.0f} s")
    finally:
        consumer.close()

"""In: what the consumer says of the ends of its partitions. Out: which partitions are read to their end, and whether
that is still so.

An end is told once. While Kafka is away nothing contradicts it, so an end that was told a while ago proves nothing: the
broker is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, TopicPartition

#: An end that was told or confirmed so long ago is asked for again, and how long the answer may take.
FRESH_S: Final = 5.0
ANSWER_S: Final = 2.0


@dataclass(slots=True)
class End:
    """`offset`: where the log ended; `since` and `confirmed`: monotonic seconds."""

    offset: int
    since: float
    confirmed: float


class Ends:
    """The ends that were reached, by partition."""

    def __init__(self) -> None:
        self.reached: dict[int, End] = {}
        self._answered = time.monotonic()

    def told(self, partition: int, offset: int) -> None:
        """The consumer has read a partition to its end at `offset`."""
        now = self._answered = time.monotonic()
        self.reached[partition] = End(offset, now, now)

    def passed(self, partition: int) -> None:
        """There is more, or the partition is no longer ours."""
        self.reached.pop(partition, None)

    def clear(self) -> None:
        self.reached.clear()

    def all_reached(self, consumer: Consumer, topic: str, partitions: Collection[int]) -> bool:
        """Whether all `partitions` end where they were read to, by evidence of the last seconds. KafkaException when
        the broker does not answer.

        A worker without partitions has an empty input as long as Kafka answers at all.
        """
        if not partitions or any(partition not in self.reached for partition in partitions):
            self._hear(consumer, topic)
            return not partitions
        for partition in partitions:
            end = self.reached[partition]
            if time.monotonic() - end.confirmed < FRESH_S:
                continue
            # The embedded broker's high watermark may be too low, never too high: an event is then seen by the next
            # fetch.
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
            if high > end.offset:
                return False
            end.confirmed = time.monotonic()
        return True

    def _hear(self, consumer: Consumer, topic: str) -> None:
        """Make sure that Kafka is there, where nothing else has shown it for a while."""
        if time.monotonic() - self._answered >= FRESH_S:
            consumer.list_topics(topic, timeout=ANSWER_S)
            self._answered = time.monotonic()

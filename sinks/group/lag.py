"""In: how far each partition has got. Out: the lag metric, for the partitions that are held and no others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from runtime.metrics import SinkMetrics

_EVERY_S: Final = 1.0


class Lag:
    """Messages of one topic that are not in ClickHouse yet. `now`: monotonic seconds."""

    def __init__(self, metrics: SinkMetrics, topic: str) -> None:
        self._metrics, self._topic = metrics, topic
        self._measured: set[int] = set()
        self._at = 0.0

    def measure(self, consumer: Consumer, reached: Iterable[tuple[int, int]], now: float) -> None:
        """`reached`: (partition, offset behind what is in ClickHouse)."""
        if now - self._at < _EVERY_S:
            return
        self._at = now
        for partition, offset in reached:
            _, high = consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            if high >= 0:
                self._measured.add(partition)
                self._metrics.lag.labels(self._topic, str(partition)).set(max(0, high - offset))

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget the others: their owner tells them."""
        for gone in self._measured - set(partitions):
            self._metrics.lag.remove(self._topic, str(gone))
            self._measured.discard(gone)

"""In: a place on `usage.enriched`. Out: the source ranges from there on, as enrich wrote them, while they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from sinks.events.ranges import Assembler, RangeBlock

#: A broker that holds a message answers long before this; the embedded one never answers a fetch behind the end.
_SILENCE_S: Final = 20.0
#: A range has seldom more messages than this; where it has, its partition is read from the beginning.
_MOST_PARTS: Final = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a range's messages stand: `last` is the offset of its last one; `start`: an offset at or before its first,
    None when nobody knows.
    """

    partition: int
    first: int
    next: int
    last: int
    start: int | None


class ReadBack:
    """Reads ranges outside of any group. Not thread-safe."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            connection.consumer(f"{connection.client_id}.reader.unused", enable_partition_eof=True)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()

    def block(self, place: Place) -> RangeBlock | None:
        """One range; None when the topic no longer holds all of it."""
        low, _ = log_bounds(self._consumer, self._topic, place.partition)
        if place.last < low:
            return None
        start = place.last - _MOST_PARTS if place.start is None else place.start
        for begin in dict.fromkeys((max(low, start), low)):
            for block in self.blocks(place.partition, begin):
                if (block.source.first, block.source.next) == (place.first, place.next):
                    return block
                if block.last_offset >= place.last:
                    break
        return None

    def blocks(self, partition: int, start: int) -> Iterator[RangeBlock]:
        """All whole ranges from message `start` (or the log's beginning, where that is later) to its present end."""
        low, _ = log_bounds(self._consumer, self._topic, partition)
        self._consumer.assign([TopicPartition(self._topic, partition, max(low, start))])
        assembler, silent_s = Assembler(), 0.0
        while True:
            messages = self._consumer.consume(100, 0.2)
            silent_s = 0.0 if messages else silent_s + 0.2
            if silent_s > _SILENCE_S:
                # The embedded broker says nothing behind its end.
                return
            for message in messages:
                error = message.error()
                if error is None:
                    offset = message.offset()
                    assert offset is not None
                    block = assembler.feed(offset, message.headers(), message.value())
                    if block is not None:
                        yield block
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                    # Retention took the offset in this moment, or it never was: what cannot be read is told as gone.
                    return
                elif not is_transient(error):
                    raise KafkaException(error)

"""In: the fingerprint log of one input partition. Out: its dedupe window and watermark, as they were at a committed
offset.

One record a batch: the packed hashes of the events that it accepted, headed with its range and mark. A repeat of a
batch writes an equal record again, so records are taken once per range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from schemas.positions import Mark, SourceRange, read_mark, read_range, read_version
from streams.enrich.dedupe import Fingerprints, Window

_log = structlog.get_logger("enrich")


class FingerprintsMissing(RuntimeError):
    """The log does not reach the committed offset, so resends could be counted twice: a person has to decide."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The window and marks at the committed offset; `begun` is the range of a batch that starts there, if one was
    seen.
    """

    window: Window
    greatest_us: int | None
    newest_append_us: int | None
    begun: SourceRange | None


def fingerprint_value(rows: Fingerprints) -> bytes:
    """n ids, then n notes, each eight little-endian bytes."""
    return rows.ids.astype("<u8").tobytes() + rows.notes.astype("<u8").tobytes()


def read_fingerprints(value: bytes | None) -> Fingerprints:
    words = np.frombuffer(value or b"", "<u8").astype(np.uint64)
    return Fingerprints(words[: len(words) // 2], words[len(words) // 2 :])


class FingerprintLog:
    """Reads `usage.fingerprints`, one partition at a time, from broker time `horizon` ago to its end."""

    def __init__(self, connection: KafkaConnection, topic: str, group: str, horizon_us: int, max_ids: int) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self.horizon_us = horizon_us
        self._max_ids = max_ids

    def restore(self, partition: int, committed: int, now_us: int, *, window_may_be_empty: bool) -> Restored:
        """Fold the log up to the record whose `next` is `committed`; later ones belong to a batch that will be
        repeated.

        `window_may_be_empty`: nothing within the horizon can be missing (a first start, or the newest event is older).
        Raises FingerprintsMissing otherwise when no record ends at `committed`.
        """
        window = Window(self.horizon_us, self._max_ids)
        mark: Mark | None = None
        begun: SourceRange | None = None
        at = -1
        for message in self._messages(partition, now_us - self.horizon_us):
            headers = message.headers()
            read_version(headers)
            source_range = read_range(headers)
            if source_range.first == committed:
                begun = source_range
            if source_range.next > committed or source_range.next <= at:
                continue
            at = source_range.next
            mark = read_mark(headers)
            window.add(read_fingerprints(message.value()))
        if at != committed and not window_may_be_empty:
            raise FingerprintsMissing(
                f"{self._topic}[{partition}] holds no record that ends at the committed offset {committed} "
                f"(its newest ends at {at}): events sent twice could be counted twice. If that is acceptable, run: "
                f"kafka-consumer-groups --group {self._group} --topic <usage.events>:{partition} --reset-offsets "
                f"--to-offset {max(at, 0)} --execute, with enrich stopped; it repeats from the newest known batch"
            )
        if at != committed:
            return Restored(Window(self.horizon_us, self._max_ids), None, None, begun)
        return Restored(window, mark.max_event_us if mark else None, mark.append_us if mark else None, begun)

    def _messages(self, partition: int, since_us: int) -> list[Message]:
        consumer = Consumer(self._connection.consumer(self._group, auto_offset_reset="earliest"))
        try:
            low, high = log_bounds(consumer, self._topic, partition)
            if low >= high:
                return []
            start = low
            [found] = consumer.offsets_for_times(
                [TopicPartition(self._topic, partition, max(0, since_us // 1000))], timeout=30
            )
            if found.error is None and found.offset >= 0:
                start = max(low, found.offset)
            elif found.offset == OFFSET_END:
                start = high
            consumer.assign([TopicPartition(self._topic, partition, start)])
            return _read_until(consumer, start, high)
        finally:
            consumer.close()


def _read_until(consumer: Consumer, start: int, high: int) -> list[Message]:
    """All messages of the one assigned partition in [start, high)."""
    messages: list[Message] = []
    position = start
    while position < high:
        for message in consumer.consume(1_000, 1.0):
            error = message.error()
            if error is not None:
                if is_transient(error):
                    _log.warning("kafka.waiting", error=error.str())
                    continue
                raise KafkaException(error)
            offset = message.offset()
            assert offset is not None
            if offset < high:
                messages.append(message)
            position = offset + 1
        [place] = consumer.position(consumer.assignment())
        # Control records of transactions take offsets, but are not handed out.
        position = max(position, place.offset)
    return messages

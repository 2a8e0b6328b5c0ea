"""In: the consumer group on `usage.events`. Out: batches in source order, and the intents that make each one
repeatable.

An *intent* is the group's own offset commit: offset `first`, metadata `next=N`. Whoever owns the partition next reads
it and repeats exactly [first, N). The broker refuses it from a member that has lost the partition, which is where a
stalled process stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import structlog
from confluent_kafka import (
    OFFSET_INVALID,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from schemas.positions import SourceRange
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.fingerprint_log import FingerprintLog

_log = structlog.get_logger("enrich")

_INTENT = "next="
#: The group moved on without us: what we read is somebody else's now.
_LOST = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError._NO_OFFSET,
    KafkaError._STATE,
)
_GONE = (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET)


class PartitionsLost(Exception):
    """The intent was refused: the batch at hand must be dropped, its new owner repeats it."""


class OffsetsGone(RuntimeError):
    """The committed offset is no longer in the topic: events may have expired unread. Never skipped silently."""


class EventSource:
    """Reads `usage.events` as a member of the group. Single-threaded: callbacks run inside `next_batch`."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        fingerprints: FingerprintLog,
        now_us: Callable[[], int],
        batch_messages: int,
        poll_s: float,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self._fingerprints = fingerprints
        self._now_us = now_us
        self._batch_messages = batch_messages
        self._poll_s = poll_s
        self.states: dict[int, PartitionState] = {}
        #: Monotonic seconds since when each partition has been read to its end.
        self.caught_up: dict[int, float] = {}
        self._reassigned = False
        self._consumer = Consumer(
            connection.consumer(
                group,
                enable_partition_eof=True,
                partition_assignment_strategy="range",
                fetch_message_max_bytes=4_000_000,
                queued_max_messages_kbytes=128_000,
            )
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def next_batch(self) -> SourceBatch | None:
        """The next batch, a predecessor's unfinished one first. None when nothing came within the poll time."""
        for partition, state in sorted(self.states.items()):
            if state.repeat is not None:
                self.caught_up.pop(partition, None)
                return state.repeat
        self._reassigned = False
        messages = self._consumer.consume(self._batch_messages, self._poll_s)
        if self._reassigned:
            # Some of these may have been read under the old assignment: read all of them again from the new positions.
            self.restart()
            return None
        good = [message for message in messages if self._is_event(message)]
        if not good:
            return None
        batch = self._batch_of(good)
        for source_range in batch.ranges:
            self.caught_up.pop(source_range.partition, None)
        return batch

    def write_intent(self, ranges: tuple[SourceRange, ...]) -> None:
        """Step 2: say which range each partition is about to be enriched. PartitionsLost when the group moved on."""
        for one in ranges:
            if one.partition not in self.states:
                raise PartitionsLost(f"partition {one.partition} was taken away")
        self._commit(
            [TopicPartition(self._topic, one.partition, one.first, metadata=f"{_INTENT}{one.next}") for one in ranges]
        )
        for one in ranges:
            self.states[one.partition].intended = one.next

    def write_completion(self, partitions: list[int]) -> None:
        """Commit the positions reached, without an intent. A partition with a batch under way keeps its intent."""
        done = [
            TopicPartition(self._topic, partition, state.position)
            for partition in partitions
            if (state := self.states.get(partition)) is not None and state.intended is None and state.repeat is None
        ]
        if done:
            self._commit(done)

    def restart(self) -> None:
        """Read every partition again from where its work ended: what was consumed since is dropped."""
        self._consumer.assign([self._start_of(partition, state) for partition, state in self.states.items()])

    def lag(self) -> dict[int, int]:
        """Messages behind the newest known, by partition; from the client's cache, no request."""
        out = {}
        for partition, state in self.states.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            out[partition] = max(0, high - state.position)
        return out

    def close(self) -> None:
        self._consumer.close()

    def _is_event(self, message: Message) -> bool:
        """Whether the message is one to enrich. Raises OffsetsGone, or KafkaException on a fatal error."""
        error = message.error()
        if error is None:
            state = self.states.get(message.partition() or 0)
            return state is not None and (message.offset() or 0) >= state.position
        if error.code() == KafkaError._PARTITION_EOF:
            self.caught_up.setdefault(message.partition() or 0, time.monotonic())
        elif error.code() in _GONE:
            raise OffsetsGone(
                f"{self._topic}[{message.partition()}]: {error.str()}. The committed offset is outside the topic: "
                "events expired unread, or the topic was made again. To go on from the oldest event that is left: "
                f"kafka-consumer-groups --group {self._group} --topic {self._topic}:{message.partition()} "
                "--reset-offsets --to-earliest --execute"
            )
        elif error.fatal():
            raise KafkaException(error)
        else:
            _log.warning("kafka.waiting", error=error.str())
        return False

    def _batch_of(self, messages: list[Message]) -> SourceBatch:
        """Ranges begin where the last one ended: offsets without an event (transaction markers) belong to one too."""
        ends: dict[int, int] = {}
        for message in messages:
            ends[message.partition() or 0] = (message.offset() or 0) + 1
        ranges = tuple(
            SourceRange(partition, self.states[partition].position, end) for partition, end in sorted(ends.items())
        )
        return to_batch(messages, ranges)

    def _start_of(self, partition: int, state: PartitionState) -> TopicPartition:
        after = state.repeat.ranges[0].next if state.repeat is not None else state.position
        return TopicPartition(self._topic, partition, after)

    def _commit(self, offsets: list[TopicPartition]) -> None:
        while True:
            try:
                answers = self._consumer.commit(offsets=offsets, asynchronous=False)
                failed = next((one.error for one in answers or [] if one.error is not None), None)
                if failed is None:
                    return
                raise KafkaException(failed)
            except KafkaException as error:
                code = error.args[0].code()
                if code in _LOST:
                    raise PartitionsLost(error.args[0].str()) from error
                if not is_transient(error.args[0]):
                    raise
                _log.warning("commit.waiting", error=error.args[0].str())
                time.sleep(0.2)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Rebuild each partition's state from Kafka, then start reading where the predecessor's work ended."""
        self._reassigned = True
        for committed in consumer.committed(partitions, timeout=60):
            if committed.error is not None:
                raise KafkaException(committed.error)
            self.states[committed.partition] = self._restore(committed)
            self.caught_up.pop(committed.partition, None)
        consumer.assign([self._start_of(one.partition, self.states[one.partition]) for one in partitions])
        _log.info(
            "enrich.assigned",
            partitions=[one.partition for one in partitions],
            repeating=[partition for partition, state in self.states.items() if state.repeat is not None],
        )

    def _restore(self, committed: TopicPartition) -> PartitionState:
        low, _ = log_bounds(self._consumer, self._topic, committed.partition)
        first_start = committed.offset == OFFSET_INVALID
        position = low if first_start else committed.offset
        restored = self._fingerprints.restore(
            committed.partition,
            position,
            self._now_us(),
            window_may_be_empty=first_start or position <= low or self._stale(committed.partition, position),
        )
        end = _intent_end(committed.metadata)
        if end is None and restored.begun is not None:
            # A broker that keeps no commit metadata (the embedded one): the fingerprint log says what was begun.
            end = restored.begun.next
        state = PartitionState(position, restored.window, restored.greatest_us, restored.newest_append_us)
        if end is not None and end > position:
            state.repeat = self._read_range(committed.partition, position, end)
        return state

    def _stale(self, partition: int, position: int) -> bool:
        """Whether the event before `position` is older than the horizon, so that an empty window is the right one."""
        try:
            before = self._read_range(partition, position - 1, position)
        except OffsetsGone:
            return True
        return len(before.values) == 0 or self._now_us() - int(before.append_us[-1]) > self._fingerprints.horizon_us

    def _read_range(self, partition: int, first: int, end: int) -> SourceBatch:
        """Exactly the messages in [first, end), read outside the group."""
        consumer = Consumer(self._connection.consumer(self._group))
        try:
            consumer.assign([TopicPartition(self._topic, partition, first)])
            messages: list[Message] = []
            position = first
            while position < end:
                for message in consumer.consume(min(10_000, end - position), 1.0):
                    error = message.error()
                    if error is not None:
                        if error.code() in _GONE:
                            raise OffsetsGone(
                                f"{self._topic}[{partition}]: the batch [{first}, {end}) was begun, "
                                "but its events are no longer there"
                            )
                        if error.fatal():
                            raise KafkaException(error)
                        continue
                    if (message.offset() or 0) < end:
                        messages.append(message)
                [place] = consumer.position(consumer.assignment())
                position = max(position, place.offset)
        finally:
            consumer.close()
        return to_batch(messages, (SourceRange(partition, first, end),))

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Hand over cleanly. Refused: the next owner repeats the last batch, and readers recognise it."""
        try:
            self.write_completion([one.partition for one in partitions])
        except (PartitionsLost, KafkaException) as refused:
            _log.info("enrich.handover_refused", reason=str(refused))
        self._forget(partitions)

    def _lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self.states.pop(one.partition, None)
            self.caught_up.pop(one.partition, None)
        _log.info("enrich.revoked", partitions=[one.partition for one in partitions])


def to_batch(messages: list[Message], ranges: tuple[SourceRange, ...]) -> SourceBatch:
    """Order messages by partition and offset; `ranges` says which offsets of each partition they cover."""
    partition = np.asarray([message.partition() for message in messages], np.int32)
    offset = np.asarray([message.offset() for message in messages], np.int64)
    values: list[bytes | None] = [message.value() for message in messages]
    append_us = np.asarray([_append_us(message) for message in messages], np.int64)
    unkeyed = sum(message.key() is None for message in messages)
    if len(messages) > 1 and (np.diff(partition) < 0).any():
        order = np.argsort(partition, kind="stable")
        partition, offset, append_us = partition[order], offset[order], append_us[order]
        values = [values[place] for place in order.tolist()]
    return SourceBatch(values, partition, offset, append_us, ranges, unkeyed)


def _append_us(message: Message) -> int:
    kind, milliseconds = message.timestamp()
    return 0 if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds * 1_000


def _intent_end(metadata: str | None) -> int | None:
    if not metadata or not metadata.startswith(_INTENT):
        return None
    return int(metadata[len(_INTENT) :])

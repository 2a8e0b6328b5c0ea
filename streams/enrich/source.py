"""In: the consumer group on `usage.events`. Out: batches in source order, and the intents that make each one
repeatable.

An *intent* is the group's own offset commit: offset `first`, metadata `next=N,control=C`. Whoever owns the partition
next reads it and repeats exactly [first, N) by the control documents of position C. The broker refuses it from a member
that has lost the partition, which is where a stalled process stops.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from schemas.positions import SourceRange
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.fingerprint_log import FingerprintLog, FingerprintsMissing, Restored
from streams.enrich.messages import append_us, bytes_of, to_batch
from streams.enrich.partition_log import GONE, OffsetsGone, read_on

_log = structlog.get_logger("enrich")

_INTENT: Final = re.compile(r"next=(\d+)(?:,control=(\d+))?")
#: The group moved on without us: what we read is somebody else's now.
_LOST: Final = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError._NO_OFFSET,
    KafkaError._STATE,
)
#: A batch of about this many bytes is large enough to spread the fixed costs, and small enough for memory.
_BATCH_BYTES: Final = 8_000_000
#: Messages asked for before their size is known.
_FIRST_TAKE: Final = 1_000
#: How long a partition's hand-over may wait for the broker: the next owner can repeat the batch as well.
_HANDOVER_S: Final = 10.0
#: How far before a committed offset an event is looked for: transaction markers take offsets too.
_LOOK_BACK: Final = 200


class PartitionsLost(Exception):
    """The intent was refused: the batch at hand must be dropped, its new owner repeats it."""


class EventSource:
    """Reads `usage.events` as a member of the group. Single-threaded: callbacks run inside `next_batch` and `close`."""

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
        self._take = min(batch_messages, _FIRST_TAKE)
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
        messages = self._consumer.consume(self._take, self._poll_s)
        if self._reassigned:
            # Some of these may have been read under the old assignment: read all of them again from the new positions.
            self.restart()
            return None
        good = self._events_of(messages)
        if not good:
            return None
        self._take = max(1, min(self._batch_messages, _BATCH_BYTES * len(good) // max(1, bytes_of(good))))
        return to_batch(good, {partition: state.position for partition, state in self.states.items()})

    def write_intent(self, ranges: tuple[SourceRange, ...], control: int) -> None:
        """Step 2: say which range each partition is about to be enriched, and by which position of the control log.
        PartitionsLost when the group moved on.
        """
        for one in ranges:
            if one.partition not in self.states:
                raise PartitionsLost(f"partition {one.partition} was taken away")
        self._commit(
            [
                TopicPartition(self._topic, one.partition, one.first, metadata=f"next={one.next},control={control}")
                for one in ranges
            ]
        )
        for one in ranges:
            self.states[one.partition].intended = one.next

    def write_completion(self, partitions: list[int], wait_s: float | None = None) -> None:
        """Commit the positions reached, without an intent. A partition with a batch under way keeps its intent.

        `wait_s`: how long a broker that is away is waited for; None: until it is back.
        """
        done = [
            TopicPartition(self._topic, partition, state.position)
            for partition in partitions
            if (state := self.states.get(partition)) is not None and state.intended is None and state.repeat is None
        ]
        if done:
            self._commit(done, wait_s)

    def restart(self) -> None:
        """Read every partition again from where its work ended: what was consumed since is dropped."""
        self.caught_up.clear()
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

    def _events_of(self, messages: list[Message]) -> list[Message]:
        """The messages that are to be enriched. Keeps `caught_up` in the order in which events and ends came: an end
        is told only once.
        """
        if any(message.error() is not None for message in messages):
            good = []
            for message in messages:
                partition = message.partition()
                if partition is None or message.error() is not None:
                    self._take_in(message)
                else:
                    self.caught_up.pop(partition, None)
                    good.append(message)
        else:
            good = messages
            for partition in {message.partition() for message in messages} if self.caught_up else ():
                self.caught_up.pop(partition or 0, None)
        positions = {partition: state.position for partition, state in self.states.items()}
        nowhere = 2**63
        return [one for one in good if (one.offset() or 0) >= positions.get(one.partition() or 0, nowhere)]

    def _take_in(self, message: Message) -> None:
        """An answer that is no event. Raises OffsetsGone, or KafkaException on a fatal error."""
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            if message.partition() in self.states:
                self.caught_up[message.partition() or 0] = time.monotonic()
        elif error.code() in GONE:
            raise self._gone(message.partition(), error.str())
        elif error.fatal():
            raise KafkaException(error)
        else:
            _log.warning("kafka.waiting", error=error.str())

    def _gone(self, partition: int | None, why: str) -> OffsetsGone:
        return OffsetsGone(
            f"{self._topic}[{partition}]: {why}. The committed offset is outside the topic: "
            "events expired unread, or the topic was made again. To go on from the oldest event that is left: "
            f"kafka-consumer-groups --group {self._group} --topic {self._topic}:{partition} "
            "--reset-offsets --to-earliest --execute"
        )

    def _start_of(self, partition: int, state: PartitionState) -> TopicPartition:
        after = state.repeat.ranges[0].next if state.repeat is not None else state.position
        return TopicPartition(self._topic, partition, after)

    def _commit(self, offsets: list[TopicPartition], wait_s: float | None = None) -> None:
        deadline = None if wait_s is None else time.monotonic() + wait_s
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
                if not is_transient(error.args[0]) or (deadline is not None and time.monotonic() > deadline):
                    raise
                _log.warning("commit.waiting", error=error.args[0].str())
                time.sleep(0.2)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Rebuild each partition's state from Kafka, then start reading where the predecessor's work ended."""
        self._reassigned = True
        for committed in consumer.committed(partitions, timeout=60) if partitions else ():
            if committed.error is not None:
                raise KafkaException(committed.error)
            self.states[committed.partition] = self._restore(committed)
        consumer.assign([self._start_of(one.partition, self.states[one.partition]) for one in partitions])
        _log.info(
            "enrich.assigned",
            partitions=[one.partition for one in partitions],
            repeating=[partition for partition, state in self.states.items() if state.repeat is not None],
        )

    def _restore(self, committed: TopicPartition) -> PartitionState:
        partition = committed.partition
        low, _ = log_bounds(self._consumer, self._topic, partition)
        first_start = committed.offset == OFFSET_INVALID
        position = low if first_start else int(committed.offset)
        if position < low:
            raise self._gone(partition, f"it begins at {low}, committed is {position}")
        restored = self._restored(partition, position, low, first_start)
        intent = _INTENT.fullmatch(committed.metadata or "")
        end, control = (int(intent[1]), int(intent[2]) if intent[2] else None) if intent else (None, None)
        if end is None and restored.begun is not None:
            # A broker that keeps no commit metadata (the embedded one): the fingerprint log says what was begun.
            end, control = restored.begun.next, restored.begun_control
        state = PartitionState(position, restored.window, restored.greatest_us, restored.newest_append_us)
        if end is not None and end > position:
            state.repeat = self._read_range(partition, position, end, control)
        return state

    def _restored(self, partition: int, position: int, low: int, first_start: bool) -> Restored:
        """The window at `position`. Raises FingerprintsMissing where an empty one could let a resend through."""
        if first_start:
            end = self._fingerprints.newest_end(partition)
            if end is None or end <= low:
                return self._fingerprints.nothing()
            raise FingerprintsMissing(
                f"{self._topic}[{partition}] was enriched up to {end}, but the group {self._group} has no committed "
                "offset (Kafka forgets those of a group that was away for a week). To go on from there, run: "
                f"kafka-consumer-groups --group {self._group} --topic {self._topic}:{partition} --reset-offsets "
                f"--to-offset {end} --execute"
            )
        try:
            return self._fingerprints.restore(partition, position, self._now_us())
        except FingerprintsMissing:
            if position == low or self._horizon_over(partition, position, low):
                return self._fingerprints.nothing()
            raise

    def _horizon_over(self, partition: int, position: int, low: int) -> bool:
        """Whether the last event before `position` is older than the horizon for whatever comes after it."""
        before: int | None = None
        after = self._now_us()
        for message in read_on(self._connection, self._group, self._topic, partition, max(low, position - _LOOK_BACK)):
            if (message.offset() or 0) >= position:
                after = append_us(message)
                break
            before = append_us(message)
        return before is not None and after - before > self._fingerprints.horizon_us

    def _read_range(self, partition: int, first: int, end: int, control: int | None) -> SourceBatch:
        """Exactly the messages in [first, end), read outside the group."""
        messages: list[Message] = []
        for message in read_on(self._connection, self._group, self._topic, partition, first):
            if (message.offset() or 0) < end:
                messages.append(message)
            if (message.offset() or 0) >= end - 1:
                return to_batch(messages, {partition: first}, end, control)
        raise OffsetsGone(
            f"{self._topic}[{partition}]: the batch [{first}, {end}) was begun, but its events are no longer there"
        )

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Hand over cleanly. Refused: the next owner repeats the last batch, and readers recognise it."""
        try:
            self.write_completion([one.partition for one in partitions], _HANDOVER_S)
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

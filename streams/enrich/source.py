"""In: the consumer group on `usage.events`. Out: batches in source order, and the intents that make each one
repeatable.

An *intent* is the group's own offset commit: offset `first`, metadata `next=N,control=C`. Whoever owns the partition
next reads it and repeats exactly [first, N) by the control documents of position C. The broker refuses it from a member
that has lost the partition, which is where a stalled process stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from schemas.positions import SourceRange
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.commits import Commits, PartitionsLost
from streams.enrich.ends import Ends
from streams.enrich.fingerprint_log import FingerprintLog
from streams.enrich.messages import bytes_of, to_batch
from streams.enrich.partition_log import GONE
from streams.enrich.patience import Patience, Stopping, Wait
from streams.enrich.restore import Intent, Restorer, offsets_gone, still_true

_log = structlog.get_logger("enrich")

#: A batch of about this many bytes is large enough to spread the fixed costs, and small enough for memory.
_BATCH_BYTES: Final = 8_000_000
#: Messages asked for before their size is known.
_FIRST_TAKE: Final = 1_000
#: How long a worker that leaves waits for its last commit: the next owner can repeat the batch as well.
_HANDOVER_S: Final = 5.0
#: So long after a refusal the group should have called again; then it is asked once more.
_REFUSED_S: Final = 60.0


def _anything(_partitions: Collection[int]) -> None:
    """Nobody objects."""


class EventSource:
    """Reads `usage.events` as a member of the group. Single-threaded: callbacks run inside `next_batch`, `stay` and
    `close`.

    `holds` is told the partitions held, at each change and before their state is loaded; what it raises comes out of
    `next_batch`.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        fingerprints: FingerprintLog,
        now_us: Callable[[], int],
        batch_messages: int,
        poll_s: float,
        *,
        patience: Patience | None = None,
        accept_missing_window: bool = False,
        holds: Callable[[Collection[int]], None] = _anything,
    ) -> None:
        self._topic = topic
        self._batch_messages = batch_messages
        self._take = min(batch_messages, _FIRST_TAKE)
        self._poll_s = poll_s
        self._patience = patience or Patience()
        self._holds = holds
        self._restorer = Restorer(connection, topic, group, fingerprints, now_us, self._patience, accept_missing_window)
        self.states: dict[int, PartitionState] = {}
        self.ends = Ends()
        #: Whether the group has given out its partitions once; a spare worker gets none.
        self.joined = False
        self._reassigned = self._moved = False
        #: Since when the group refuses our commits, in monotonic seconds: nothing is done until it has given out
        #: partitions anew.
        self._refused_at: float | None = None
        #: Whether messages were dropped while a batch waited.
        self._dropped = False
        #: States of partitions that were taken away a moment ago, until the group has said who has them now.
        self._kept: dict[int, PartitionState] = {}
        self._away: Wait | None = None
        self._consumer = Consumer(
            connection.consumer(
                group,
                enable_partition_eof=True,
                partition_assignment_strategy="range",
                fetch_message_max_bytes=4_000_000,
                queued_max_messages_kbytes=128_000,
            )
        )
        self._commits = Commits(self._consumer, self._patience)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._forget, on_lost=self._forget)

    def next_batch(self) -> SourceBatch | None:
        """The next batch, a predecessor's unfinished one first. None when nothing came within the poll time."""
        if self._refused_at is not None:
            self._consumer.consume(1, self._poll_s)
        if self.outside():
            return None
        for partition, state in sorted(self.states.items()):
            if state.repeat is not None:
                self.ends.passed(partition)
                return state.repeat
        if self._dropped:
            self.restart()
        self._reassigned = False
        messages = self._consumer.consume(self._take, self._poll_s)
        if self._reassigned:
            # Some of these may have been read under the old assignment: read all of them again from the new positions.
            self.restart()
            return None
        good = self._events_of(messages)
        if not good:
            return None
        self._away = None
        self._take = max(1, min(self._batch_messages, _BATCH_BYTES * len(good) // max(1, bytes_of(good))))
        return to_batch(good, {partition: state.position for partition, state in self.states.items()})

    def stay(self) -> None:
        """Remain a member of the group while a batch waits for something: its outputs are not written yet. What is
        polled meanwhile is dropped and read again later. Raises PartitionsLost when partitions moved.
        """
        self._moved, self._dropped = False, True
        self._consumer.consume(1, 0.0)
        if self._moved:
            raise PartitionsLost("partitions moved while the batch waited")

    def write_intent(self, ranges: tuple[SourceRange, ...], control: int) -> None:
        """Step 2: say which range each partition is about to be enriched, and by which position of the control log.
        PartitionsLost when the group moved on.
        """
        for one in ranges:
            if one.partition not in self.states:
                raise PartitionsLost(f"partition {one.partition} was taken away")
        self._write_intents(ranges, control, stopped=False)
        for one in ranges:
            self.states[one.partition].intended = one.next

    def mark_stopped(self, ranges: tuple[SourceRange, ...], control: int) -> None:
        """Note on the intents of a batch that it stopped this worker. PartitionsLost when the group moved on."""
        self._write_intents(ranges, control, stopped=True)

    def write_completion(self, partitions: list[int], wait_s: float | None = None) -> None:
        """Commit the positions reached, without an intent. A partition with a batch under way keeps its intent.

        `wait_s`: how long an answer is waited for; None: until it comes. A member that the group refused already does
        not ask: the client may hold such a commit for ever.
        """
        if self._refused_at is not None:
            raise PartitionsLost("the group has moved on")
        done = [
            TopicPartition(self._topic, partition, state.position)
            for partition in partitions
            if (state := self.states.get(partition)) is not None and state.intended is None and state.repeat is None
        ]
        if done:
            self._commits.write(done, wait_s)

    def drop(self) -> None:
        """The group refused a batch: hear what it says, and read again what is still ours."""
        self._dropped = True
        if self._refused_at is None:
            self._refused_at = time.monotonic()

    def restart(self) -> None:
        """Read every partition again from where its work ended: what was consumed since is dropped."""
        self._dropped = False
        self.ends.clear()
        self._consumer.assign([self._start_of(partition, state) for partition, state in self.states.items()])

    def lag(self) -> dict[int, int]:
        """Messages behind the newest known, by partition; from the client's cache, no request."""
        out = {}
        for partition, state in self.states.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            out[partition] = max(0, high - state.position)
        return out

    def empty(self) -> bool:
        """Whether all input is known to be read, by evidence that is fresh: Kafka is asked again where it has said
        nothing for a while. Raises Stopping.
        """
        try:
            empty = self.ends.all_reached(self._consumer, self._topic, self.states.keys())
        except KafkaException as error:
            self._silent(error.args[0])
            return False
        self._away = None
        return empty and self.joined

    def close(self) -> None:
        """Leave the group. What is complete is committed first, if the group answers soon."""
        try:
            self.write_completion(list(self.states), _HANDOVER_S)
        except (PartitionsLost, KafkaException, Stopping) as refused:
            _log.info("enrich.handover_refused", reason=str(refused))
        self._consumer.close()

    def outside(self) -> bool:
        """Whether the group refused us and has not called again yet."""
        if self._refused_at is not None and time.monotonic() - self._refused_at > _REFUSED_S:
            self._refused_at = None
        return self._refused_at is not None

    def _events_of(self, messages: list[Message]) -> list[Message]:
        """The messages that are to be enriched. Keeps `ends` in the order in which events and ends came: an end is told
        only once.
        """
        if any(message.error() is not None for message in messages):
            good = []
            for message in messages:
                partition = message.partition()
                if partition is None or message.error() is not None:
                    self._take_in(message)
                else:
                    self.ends.passed(partition)
                    good.append(message)
        else:
            good = messages
            for partition in {message.partition() for message in messages} if self.ends.reached else ():
                self.ends.passed(partition or 0)
        positions = {partition: state.position for partition, state in self.states.items()}
        nowhere = 2**63
        return [one for one in good if (one.offset() or 0) >= positions.get(one.partition() or 0, nowhere)]

    def _take_in(self, message: Message) -> None:
        """An answer that is no event. Raises OffsetsGone, or KafkaException on a fatal error; Stopping."""
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            self._away = None
            if message.partition() in self.states:
                self.ends.told(message.partition() or 0, message.offset() or 0)
        elif error.code() in GONE:
            raise offsets_gone(self._topic, message.partition(), error.str() or "the offset is not there")
        elif error.fatal():
            raise KafkaException(error)
        else:
            self._silent(error)

    def _silent(self, error: KafkaError) -> None:
        self._away = self._away or self._patience.begin("kafka.waiting")
        self._away.going_on(error.str() or "Kafka does not answer")

    def _start_of(self, partition: int, state: PartitionState) -> TopicPartition:
        after = state.repeat.ranges[0].next if state.repeat is not None else state.position
        return TopicPartition(self._topic, partition, after)

    def _write_intents(self, ranges: tuple[SourceRange, ...], control: int, *, stopped: bool) -> None:
        self._commits.write(
            [
                TopicPartition(
                    self._topic, one.partition, one.first, metadata=Intent(one.next, control, stopped).metadata()
                )
                for one in ranges
            ]
        )

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Rebuild each partition's state from Kafka, then start reading where the predecessor's work ended."""
        self._reassigned = self._moved = self.joined = True
        self._refused_at = None
        self._holds({one.partition for one in partitions})
        began, kept = time.monotonic(), []
        for committed in self._restorer.committed(consumer, partitions):
            held = self._kept.pop(committed.partition, None)
            if held is not None and still_true(held, committed):
                kept.append(committed.partition)
                self.states[committed.partition] = held
            else:
                self.states[committed.partition] = self._restorer.restore(consumer, committed)
        self._kept.clear()
        consumer.assign([self._start_of(one.partition, self.states[one.partition]) for one in partitions])
        _log.info(
            "enrich.assigned",
            partitions=[one.partition for one in partitions],
            kept=kept,
            repeating=[partition for partition, state in self.states.items() if state.repeat is not None],
            seconds=round(time.monotonic() - began, 1),
        )

    def _forget(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions are taken away. Nothing is committed here: a commit that the client holds back would hold up the
        whole group. The next owner repeats the last batch, and readers recognise it.
        """
        self._moved = True
        for one in partitions:
            state = self.states.pop(one.partition, None)
            if state is not None:
                self._kept[one.partition] = state
            self.ends.passed(one.partition)
        self._holds(set(self.states))
        _log.info("enrich.revoked", partitions=[one.partition for one in partitions])

"""In: what the group has committed of one input partition. Out: the partition's state as its last owner left it: the
dedupe window, the watermark, and the batch that was begun and may not be finished.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.recovery import set_offset
from runtime.watermarks import is_transient, log_bounds
from schemas.positions import Mark, SourceRange
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.fingerprint_log import FingerprintLog, FingerprintsMissing, Restored
from streams.enrich.messages import append_us, to_batch
from streams.enrich.partition_log import ANSWER_S, OffsetsGone, read_on
from streams.enrich.patience import Patience

_log = structlog.get_logger("enrich")

_INTENT: Final = re.compile(r"next=(\d+)(?:,control=(\d+))?(,stopped)?")
#: How far before a committed offset an event is looked for: transaction markers take offsets too.
_LOOK_BACK: Final = 200

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Intent:
    """What the metadata of a committed offset says: the batch begun there ends at `next` and was enriched by position
    `control` of the control log. `stopped`: what it refused stopped the worker.
    """

    next: int
    control: int | None
    stopped: bool = False

    def metadata(self) -> str:
        return f"next={self.next},control={self.control}" + (",stopped" if self.stopped else "")


def read_intent(metadata: str | None) -> Intent | None:
    found = _INTENT.fullmatch(metadata or "")
    return None if found is None else Intent(int(found[1]), int(found[2]) if found[2] else None, found[3] is not None)


def still_true(held: PartitionState, committed: TopicPartition) -> bool:
    """Whether a state outlived a rebalance: its window ends where the committed work ends, be the last batch only
    begun there: it was finished here. Another owner who got further has left another intent or a later position.
    """
    intent = read_intent(committed.metadata)
    end = committed.offset if intent is None else intent.next
    return held.position == end and held.intended is None and held.repeat is None


def offsets_gone(topic: str, partition: int | None, why: str) -> OffsetsGone:
    """The committed offset is outside the topic: the sentence with the way out."""
    return OffsetsGone(
        f"{topic}[{partition}]: {why}. The committed offset is outside the topic: events expired unread, or the topic "
        "was made again. Nothing was skipped. To go on from the oldest event that is left, run: "
        + set_offset("enrich", topic, partition or 0, "earliest")
    )


class Restorer:
    """Rebuilds states. `consumer` is the group's own; logs are read beside it. An outage is waited out."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        fingerprints: FingerprintLog,
        now_us: Callable[[], int],
        patience: Patience,
        accept_missing: bool,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self._fingerprints = fingerprints
        self._now_us = now_us
        self._patience = patience
        self._accept_missing = accept_missing

    def committed(self, consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Committed offsets with their metadata."""

        def ask() -> list[TopicPartition]:
            found = consumer.committed(partitions, timeout=ANSWER_S)
            for one in found:
                if one.error is not None:
                    raise KafkaException(one.error)
            return list(found)

        return self._patiently(ask) if partitions else []

    def restore(self, consumer: Consumer, committed: TopicPartition) -> PartitionState:
        """Raises FingerprintsMissing, OffsetsGone and, told to stop in an outage, Stopping."""
        return self._patiently(lambda: self._restore(consumer, committed))

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        wait = self._patience.begin("kafka.waiting")
        while True:
            try:
                return ask()
            except KafkaException as error:
                if not is_transient(error.args[0]):
                    raise
                wait.pause(error.args[0].str() or "Kafka does not answer")

    def _restore(self, consumer: Consumer, committed: TopicPartition) -> PartitionState:
        partition = committed.partition
        low, _ = log_bounds(consumer, self._topic, partition, ANSWER_S)
        first_start = committed.offset == OFFSET_INVALID
        position = low if first_start else int(committed.offset)
        if position < low:
            raise offsets_gone(self._topic, partition, f"it begins at {low}, committed is {position}")
        restored = self._restored(partition, position, low, first_start)
        intent = read_intent(committed.metadata)
        if intent is None and restored.begun is not None:
            # A broker that keeps no commit metadata (the embedded one): the fingerprint log says what was begun.
            intent = Intent(restored.begun.next, restored.begun_control)
        state = PartitionState(position, restored.window, restored.greatest_us, restored.newest_append_us)
        if intent is not None and intent.next > position:
            state.repeat = self.read_range(partition, position, intent)
        return state

    def _restored(self, partition: int, position: int, low: int, first_start: bool) -> Restored:
        """The window at `position`. Raises FingerprintsMissing where an empty one could let a resend through."""
        if first_start:
            return self._first(partition, low)
        try:
            return self._fingerprints.restore(partition, position, self._now_us())
        except FingerprintsMissing as missing:
            newest = self._newest_in_topic(partition, low)
            begun = newest is not None and newest[0].first == position
            if (newest is None or begun) and (position == low or self._horizon_over(partition, position, low)):
                # All that the log has may be of the batch that begins here.
                nothing = self._fingerprints.nothing()
                return replace(nothing, begun=newest[0], begun_control=newest[1].control) if newest else nothing
            if newest is None:
                self._refuse_outside(partition, position)
            if not self._accept_missing:
                if newest is not None and not begun:
                    why = f"the committed offset is {position}, but no batch ended there: it was altered"
                    raise self._enriched_up_to(partition, newest[0].next, why) from missing
                raise FingerprintsMissing(
                    f"{missing}. To go on with an empty window all the same, start once with "
                    "enrich.accept_missing_window = true (STREAMGAUGE_ENRICH__ACCEPT_MISSING_WINDOW=true): what is "
                    "sent again within the horizon can then count twice, and `streamgauge reconcile` names it"
                ) from missing
            _log.error(
                "enrich.window_missing",
                partition=partition,
                position=position,
                why=str(missing),
                meaning="going on with an empty window, as enrich.accept_missing_window says: events sent again within "
                "the horizon can count twice; `streamgauge reconcile` names them. Take the setting away again",
            )
            return self._fingerprints.nothing()

    def _first(self, partition: int, low: int) -> Restored:
        """Nothing is committed: nothing was ever enriched, or Kafka has forgotten how far."""
        newest = self._fingerprints.newest(partition)
        if newest is None or newest[0].next <= low:
            return self._fingerprints.nothing()
        end = newest[0].next
        why = f"the group {self._group} has no committed offset"
        if self._newest_in_topic(partition, low) is None:
            raise FingerprintsMissing(
                f"{self._topic}[{partition}] was made again: {why}, and the fingerprint log, which says that it was "
                f"enriched up to {end}, is of other events. To begin with the oldest event, run: "
                + set_offset("enrich", self._topic, partition, "earliest")
            )
        why += " (Kafka forgets those of a group that was away for a week)"
        raise self._enriched_up_to(partition, end, why)

    def _enriched_up_to(self, partition: int, end: int, why: str) -> FingerprintsMissing:
        return FingerprintsMissing(
            f"{self._topic}[{partition}]: {why}; the fingerprint log says that it was enriched up to {end}. To go on "
            "there, run: " + set_offset("enrich", self._topic, partition, end)
        )

    def _refuse_outside(self, partition: int, position: int) -> None:
        """Raises OffsetsGone for a position behind the end; only a fetch tells that on every broker."""
        try:
            next(self._read_on(partition, position), None)
        except OffsetsGone as gone:
            raise offsets_gone(self._topic, partition, f"committed is {position}") from gone

    def _newest_in_topic(self, partition: int, low: int) -> tuple[SourceRange, Mark] | None:
        """The newest range of the log, if it lies within the topic and is about the events that are there: a topic that
        was made again has others.
        """
        newest = self._fingerprints.newest(partition)
        if newest is None or newest[0].next < low:
            return None
        found, mark = newest
        times = []
        try:
            for message in self._read_on(partition, max(low, found.first)):
                if (message.offset() or 0) >= found.next:
                    break
                times.append(append_us(message))
        except OffsetsGone:
            return None
        if found.next > low and (not times or mark.append_us != max(times)):
            return None
        return newest

    def _horizon_over(self, partition: int, position: int, low: int) -> bool:
        """Whether the last event before `position` is older than the horizon for whatever comes after it."""
        before: int | None = None
        after = self._now_us()
        for message in self._read_on(partition, max(low, position - _LOOK_BACK)):
            if (message.offset() or 0) >= position:
                after = append_us(message)
                break
            before = append_us(message)
        return before is not None and after - before > self._fingerprints.horizon_us

    def read_range(self, partition: int, first: int, intent: Intent) -> SourceBatch:
        """Exactly the messages of the batch begun at `first`, read outside the group."""
        messages: list[Message] = []
        for message in self._read_on(partition, first):
            if (message.offset() or 0) < intent.next:
                messages.append(message)
            if (message.offset() or 0) >= intent.next - 1:
                batch = to_batch(messages, {partition: first}, intent.next, intent.control)
                return replace(batch, stopped=intent.stopped)
        raise OffsetsGone(
            f"{self._topic}[{partition}]: the batch [{first}, {intent.next}) was begun, but its events are no longer "
            "there: they expired, or the topic was made again. Nothing was skipped. To go on from the oldest event "
            "that is left, run: " + set_offset("enrich", self._topic, partition, "earliest")
        )

    def _read_on(self, partition: int, first: int) -> Iterator[Message]:
        return read_on(self._connection, self._group, self._topic, partition, first, self._patience)

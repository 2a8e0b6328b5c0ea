"""In: a consumer group of one topic with one partition. Out: its messages while this process has the partition.

It stays a member while Alertmanager is away, and is a standby where another process has the partition.
"""

from __future__ import annotations

from typing import Final

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.recovery import offsets_lost
from runtime.watermarks import committed_offsets, is_transient, log_bounds

_log = structlog.get_logger("forward")

#: What a commit answers when the partition is somebody else's now, or the group is just being settled.
_PASSING: Final = (
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
    KafkaError._MAX_POLL_EXCEEDED,
)


class Member:
    """Not thread-safe. `generation` counts changes of hands; what was in hand then belongs to whoever has it now."""

    def __init__(self, connection: KafkaConnection, topic: str, group: str, health: Health) -> None:
        self._topic, self._health = topic, health
        self.generation = 0
        self.holds = False
        #: Whether the end of the log was reached since `start_at`.
        self.at_end = False
        self._away = False
        self._stash: list[Message] = []
        self._paused = False
        self._consumer = Consumer(
            connection.consumer(group, isolation_level="read_committed", enable_partition_eof=True)
            | {"error_cb": self._on_error}
        )
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def committed(self) -> int | None:
        """Where the group goes on; None: it never was here. A place that has expired is the beginning of what is left:
        what lay before is over in Alertmanager too. KafkaException.
        """
        [place] = committed_offsets(self._consumer, [TopicPartition(self._topic, 0)], 30.0)
        if place.offset == OFFSET_INVALID:
            return None
        low, _ = self.bounds()
        if place.offset < low:
            _log.warning("forward.expired", committed=place.offset, begins=low)
        return max(place.offset, low)

    def bounds(self) -> tuple[int, int]:
        """[low, high) of the log; the embedded broker's high is that of its last batch's beginning. KafkaException."""
        return log_bounds(self._consumer, self._topic, 0, 10.0)

    def start_at(self, offset: int) -> None:
        place = [TopicPartition(self._topic, 0, offset)]
        self._consumer.assign(place)
        # A pause outlives an assignment.
        self._consumer.resume(place)
        self._stash, self._paused, self.at_end = [], False, False

    def consume(self, most: int, wait_s: float) -> list[Message]:
        """What has come. KafkaException for what waiting does not mend; OffsetsLost behind the end."""
        generation = self.generation
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False
        arrived = self._stash + self._usable(self._consumer.consume(most, wait_s))
        self._stash = []
        if self._away:
            # An empty answer of a broker that is away must not look like an empty input.
            self._consumer.list_topics(self._topic, timeout=10.0)
            self._away = False
        return arrived if self.generation == generation else []

    def stay(self, wait_s: float) -> None:
        """Remain a member without reading on."""
        if not self._paused:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        generation = self.generation
        # Fetched before the pause, so they may come all the same, in order.
        arrived = self._usable(self._consumer.consume(1, wait_s))
        if self.generation == generation:
            self._stash += arrived

    def commit(self, offset: int) -> bool:
        """Whether the group goes on at `offset` now; False: to be tried again. KafkaException for what is wrong."""
        try:
            results = self._consumer.commit(offsets=[TopicPartition(self._topic, 0, offset)], asynchronous=False)
            refusals = [one.error for one in results or [] if one.error is not None]
        except KafkaException as error:
            refusals = [error.args[0]]
        for refusal in refusals:
            if refusal.code() not in _PASSING and not is_transient(refusal):
                raise KafkaException(refusal)
            _log.warning("forward.commit_refused", why=refusal.str())
        return not refusals

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _usable(self, messages: list[Message]) -> list[Message]:
        usable = []
        for message in messages:
            error = message.error()
            if error is None:
                usable.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.at_end = True
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise offsets_lost("forward", self._topic, 0, error.str())
            elif is_transient(error) or error.code() in _PASSING:
                _log.warning("kafka.waiting", why=error.str())
            else:
                raise KafkaException(error)
        return usable

    def _on_error(self, error: KafkaError) -> None:
        self._away = self._away or error.code() == KafkaError._ALL_BROKERS_DOWN

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Nothing is read before its place is known.
        consumer.assign([])
        self._change(holds=bool(partitions))

    def _on_revoke(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        consumer.unassign()
        self._change(holds=False)

    def _change(self, *, holds: bool) -> None:
        self.holds, self.generation, self._stash, self._paused = holds, self.generation + 1, [], False
        self._health.holds(self._topic, [0] if holds else [])
        _log.info("forward.assigned" if holds else "forward.revoked")

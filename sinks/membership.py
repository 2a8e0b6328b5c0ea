"""In: a group, topics. Out: a consumer-group member that stays one while ClickHouse is away.

`patiently` runs one ClickHouse operation and waits out outages: the partitions are paused and polling goes on, so that
the group neither loses the member nor sends it more. Nothing is ever dead-lettered because ClickHouse was down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.health import Health
from sinks.config import SinkConfig
from sinks.errors import SinkError, code_of, verdict

_log = structlog.get_logger("sink")
_Result = TypeVar("_Result")

#: Codes that say: this member no longer owns what it commits, or will be told so at its next poll.
FENCED: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)
#: Codes of a broker that is away or busy: librdkafka reconnects by itself.
PASSING: Final = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._WAIT_COORD,
    }
)


class AssignmentChanged(Exception):
    """The partitions were reassigned during a wait: what was in hand belongs to somebody else now."""


class Halted(Exception):
    """The process was told to stop during a wait: what was in hand is repeated by the next owner."""


class Membership:
    """One member of one group. Not thread-safe. `assigned` is replaced whole, and `generation` counts its changes."""

    def __init__(
        self,
        config: SinkConfig,
        connection: KafkaConnection,
        group: str,
        topics: list[str],
        clock: Clock,
        halt: threading.Event,
        health: Health,
        *,
        assign: bool,
    ) -> None:
        """`assign`: start where the group's offsets are; otherwise the owner calls `start_at` after each change."""
        self._config, self._clock, self._halt, self._health = config, clock, halt, health
        self._assign = assign
        self.assigned: list[TopicPartition] = []
        self.generation = 0
        self._stash: list[Message] = []
        self.consumer = Consumer(
            connection.librdkafka(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest" if assign else "error",
                isolation_level="read_committed",
                session_timeout_ms=connection.session_timeout_ms,
                max_poll_interval_ms=config.max_poll_interval_s * 1_000,
                # All partitions are given back at each rebalance: their state is read anew from ClickHouse, which
                # rules.
                partition_assignment_strategy="range",
            )
        )
        self.consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def start_at(self, positions: list[TopicPartition]) -> None:
        """Begin to read the assigned partitions at these offsets."""
        self.consumer.assign(positions)

    def consume(self) -> list[Message]:
        """What has arrived, errors that pass left out. KafkaException for errors that do not."""
        generation, stash = self.generation, self._stash
        self._stash = []
        arrived = self._usable(self.consumer.consume(self._config.batch_messages, self._config.poll_ms / 1_000))
        return stash + arrived if self.generation == generation else arrived

    def commit(self, offsets: list[TopicPartition]) -> bool:
        """Commit and wait for the answer. False: refused or unreachable now, and to be tried again after the next
        poll.
        """
        try:
            results = self.consumer.commit(offsets=offsets, asynchronous=False) or []
            refusals = [result.error for result in results if result.error is not None]
        except KafkaException as error:
            refusals = [error.args[0]]
        for refusal in refusals:
            if refusal.code() not in FENCED and refusal.code() not in PASSING:
                raise KafkaException(refusal)
            _log.warning("sink.commit_refused", reason=refusal.str())
        return not refusals

    def patiently(self, what: str, operation: Callable[[], _Result], whom: str = "ClickHouse") -> _Result:
        """Run `operation`, which asks `whom` for `what`; wait out what is transient, for ever. SinkError for the rest.

        Raises AssignmentChanged or Halted when that happens during the wait; the operation may have been done or not.
        """
        generation, wait_s, resumed = self.generation, self._config.retry_first_s, True
        while True:
            try:
                result = operation()
            except SinkError:
                raise
            except Exception as error:
                kind, code = verdict(error), code_of(error)
                if kind != "transient":
                    raise SinkError(_stop_message(whom, what, kind, code, error)) from error
                resumed = False
                why = f"{whom} does not take {what} (code {code}): {error}"
                self._health.failing(why)
                _log.warning("sink.waiting", what=what, code=code, retry_in_s=round(wait_s, 1), error=str(error))
                self._wait(wait_s, generation)
                wait_s = min(wait_s * 2, self._config.retry_cap_s)
                continue
            if not resumed:
                self._resume()
                _log.info("sink.recovered", what=what)
            return result

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def _wait(self, seconds: float, generation: int) -> None:
        """Keep the membership alive for `seconds` while nothing is read."""
        current = self.consumer.assignment()
        if current:
            self.consumer.pause(current)
        deadline = self._clock.monotonic() + seconds
        while self._clock.monotonic() < deadline:
            if self._halt.is_set():
                raise Halted
            # Paused partitions give nothing new; what was on its way is kept in its order.
            arrived = self._usable(self.consumer.consume(1, 0.1))
            if self.generation != generation:
                raise AssignmentChanged
            self._stash += arrived

    def _resume(self) -> None:
        current = self.consumer.assignment()
        if current:
            self.consumer.resume(current)

    def _usable(self, messages: list[Message]) -> list[Message]:
        usable = []
        for message in messages:
            error = message.error()
            if error is None:
                usable.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise SinkError(
                    f"{message.topic()} partition {message.partition()}: {error.str()}. The offset to go on at "
                    "is no longer there: restart the sink, which finds its place by the ledger"
                )
            elif error.retriable() or error.code() in PASSING:
                _log.warning("sink.kafka_waiting", error=error.str())
            else:
                raise KafkaException(error)
        return usable

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assigned, self.generation, self._stash = partitions, self.generation + 1, []
        consumer.assign(partitions if self._assign else [])
        _log.info("sink.assigned", partitions=[f"{place.topic}:{place.partition}" for place in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        _log.info("sink.revoked", partitions=[f"{place.topic}:{place.partition}" for place in partitions])
        self.assigned, self.generation, self._stash = [], self.generation + 1, []
        consumer.unassign()


def _stop_message(whom: str, what: str, kind: str, code: int | None, error: Exception) -> str:
    if kind == "data":
        return (
            f"{whom} refuses {what} because of its content (code {code}): {error}. "
            "The sink stops rather than leave rows out: report this with the message above"
        )
    return f"{whom} answers {what} with an error that waiting does not mend (code {code}): {error}"

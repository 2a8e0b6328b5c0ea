"""In: a group, topics. Out: a consumer-group member that stays one while ClickHouse is away.

`patiently` runs one ClickHouse operation and waits out outages, hangs included: the partitions are paused and polling
goes on, so that the group neither loses the member nor sends it more, and waits for it in no rebalance. Nothing is ever
dead-lettered because ClickHouse was down.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.recovery import offsets_lost, places_to_start
from runtime.watermarks import is_transient
from sinks.config import SinkConfig
from sinks.errors import ContentRefused, SinkError, code_of, sentence_of, verdict
from sinks.group.errand import begin
from sinks.group.kafka_codes import FENCED, PASSING

_log = structlog.get_logger("sink")
_Result = TypeVar("_Result")

#: An operation that ends within this time needs neither pause nor poll.
_PROMPT_S: Final = 0.5
_POLL_S: Final = 0.1
_ASK_S: Final = 10.0
#: How often a wait for an answer is told: well within the time after which silence counts as a standstill.
_TELL_S: Final = 10.0
#: How long an operation may go on after the process was told to stop.
_GRACE_S: Final = 5.0


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
        self._assign, self._topics, self._paused, self._placed = assign, topics, False, 0
        self.assigned: list[TopicPartition] = []
        self.generation = 0
        self._stash: list[Message] = []
        self._away = False
        self.consumer = Consumer(
            connection.librdkafka(
                group_id=group,
                enable_auto_commit=False,
                # Offsets that are gone are never passed over in silence.
                auto_offset_reset="error",
                isolation_level="read_committed",
                session_timeout_ms=connection.session_timeout_ms,
                max_poll_interval_ms=config.max_poll_interval_s * 1_000,
                # All partitions are given back at each rebalance: their state is read anew from ClickHouse, which
                # rules.
                partition_assignment_strategy="range",
            )
            | {"error_cb": self._on_error}
        )
        self.consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke)

    def start_at(self, positions: list[TopicPartition]) -> None:
        """Begin to read the assigned partitions at these offsets."""
        self.consumer.assign(positions)
        # A pause outlives an assignment.
        self.consumer.resume(positions)
        self._paused = False

    def consume(self) -> list[Message]:
        """What has arrived, errors that pass left out. KafkaException for errors that do not."""
        generation, stash = self.generation, self._stash
        self._stash = []
        arrived = self._usable(self.consumer.consume(self._config.batch_messages, self._config.poll_ms / 1_000))
        if self._away:
            # An empty answer of a broker that is away must not look like an empty input.
            self.ask_kafka("at all", lambda: self.consumer.list_topics(timeout=_ASK_S))
            self._away = False
        if self._assign and self.generation != self._placed:
            self._place()
        return stash + arrived if self.generation == generation else []

    def seek(self, place: TopicPartition) -> None:
        """Read a partition from elsewhere: what has arrived of it and was not given out is forgotten."""
        self._stash = [message for message in self._stash if message.partition() != place.partition]
        self.consumer.seek(place)

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

    def patiently(
        self,
        what: str,
        operation: Callable[[], _Result],
        whom: str = "ClickHouse",
        on_retry: Callable[[], None] = lambda: None,
    ) -> _Result:
        """Run `operation`, which asks `whom` for `what`; wait out what is transient, for ever. SinkError for the rest,
        ContentRefused where it is the rows' content.

        It runs in a thread of its own, because `whom` may hang. Raises AssignmentChanged or Halted when that happens
        during the wait: the operation may have been done or not, and after Halted may still be under way.
        """
        generation, wait_s, waited = self.generation, self._config.retry_first_s, False
        while True:
            try:
                result = self._attend(begin(operation), what, whom)
            except (SinkError, Halted):
                raise
            except Exception as error:
                if self.generation != generation:
                    raise AssignmentChanged from error
                kind, code = verdict(error), code_of(error)
                if kind != "transient":
                    raise _refusal(whom, what, kind, code, error) from error
                waited = True
                self._health.failing(f"{whom} does not take {what} (code {code}): {error}")
                _log.warning("sink.waiting", what=what, code=code, retry_in_s=round(wait_s, 1), error=str(error))
                on_retry()
                self._wait(wait_s, generation)
                wait_s = min(wait_s * 2, self._config.retry_cap_s)
                continue
            if self.generation != generation:
                raise AssignmentChanged
            self._resume()
            if waited:
                _log.info("sink.recovered", what=what)
            return result

    def ask_kafka(self, what: str, question: Callable[[], _Result]) -> _Result:
        """Ask the broker, and wait while it is away. KafkaException for what waiting does not mend; AssignmentChanged
        or Halted as in `patiently`.
        """
        generation, wait_s = self.generation, self._config.retry_first_s
        while True:
            try:
                result = question()
            except KafkaException as error:
                refusal = error.args[0]
                if not is_transient(refusal) and refusal.code() not in PASSING:
                    raise
                self._health.failing(f"Kafka does not answer {what}: {refusal.str()}")
                _log.warning("sink.kafka_waiting", what=what, retry_in_s=round(wait_s, 1), error=refusal.str())
                self._wait(wait_s, generation)
                wait_s = min(wait_s * 2, self._config.retry_cap_s)
                continue
            self._resume()
            return result

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def _place(self) -> None:
        """Begin where the group's offsets are, and at the beginning of a partition where there are none."""
        generation = self.generation
        self.start_at(
            self.ask_kafka(
                "up to where the group has read", lambda: places_to_start(self.consumer, self.assigned, "sink", _ASK_S)
            )
        )
        self._placed = generation

    def _attend(self, errand: Future[_Result], what: str, whom: str) -> _Result:
        """The result of an operation under way; whoever hangs is waited for as a member that goes on polling."""
        began = self._clock.monotonic()
        told_at, halted_at = began, None
        wait([errand], _PROMPT_S)
        while not errand.done():
            now = self._clock.monotonic()
            if self._halt.is_set():
                halted_at = now if halted_at is None else halted_at
                if now - halted_at >= _GRACE_S:
                    _log.warning("sink.given_up", what=what, seconds=round(now - began, 1))
                    raise Halted
            if now - told_at >= _TELL_S:
                told_at = now
                self._health.failing(f"{whom} has not answered {what} for {now - began:.0f} s")
                _log.warning("sink.slow", what=what, seconds=round(now - began, 1))
            self._poll()
        return errand.result()

    def _wait(self, seconds: float, generation: int) -> None:
        """Keep the membership alive for `seconds` while nothing is read."""
        deadline = self._clock.monotonic() + seconds
        while self._clock.monotonic() < deadline:
            if self._halt.is_set():
                raise Halted
            self._poll()
            if self.generation != generation:
                raise AssignmentChanged

    def _poll(self) -> None:
        """Stay a member without reading on: paused partitions give nothing new, and what was on its way is kept in its
        order.
        """
        if not self._paused:
            self.consumer.pause(self.consumer.assignment())
            self._paused = True
        generation = self.generation
        arrived = self._usable(self.consumer.consume(1, _POLL_S))
        if self.generation == generation:
            self._stash += arrived

    def _resume(self) -> None:
        if self._paused:
            self.consumer.resume(self.consumer.assignment())
            self._paused = False

    def _usable(self, messages: list[Message]) -> list[Message]:
        usable = []
        for message in messages:
            error = message.error()
            if error is None:
                usable.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise self._lost(message, error)
            elif is_transient(error) or error.code() in PASSING:
                _log.warning("sink.kafka_waiting", error=error.str())
            else:
                raise KafkaException(error)
        return usable

    def _lost(self, message: Message, error: KafkaError) -> Exception:
        topic, partition = message.topic() or "", message.partition() or 0
        if self._assign:
            return offsets_lost("sink", topic, partition, error.str())
        return SinkError(
            f"{topic} partition {partition}: {error.str()}. The offset to go on at is no longer there. Restart the "
            "sink, which finds its place by the ledger and says what is missing"
        )

    def _on_error(self, error: KafkaError) -> None:
        self._away = self._away or error.code() == KafkaError._ALL_BROKERS_DOWN

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._hold(partitions)
        # Nothing is read before its place is known.
        consumer.assign([])
        _log.info("sink.assigned", partitions=[f"{place.topic}:{place.partition}" for place in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        _log.info("sink.revoked", partitions=[f"{place.topic}:{place.partition}" for place in partitions])
        self._hold([])
        consumer.unassign()

    def _hold(self, partitions: list[TopicPartition]) -> None:
        """All partitions are given and taken at once."""
        self.assigned, self.generation, self._stash, self._paused = partitions, self.generation + 1, [], False
        for topic in self._topics:
            self._health.holds(topic, [place.partition for place in partitions if place.topic == topic])


def _refusal(whom: str, what: str, kind: str, code: int | None, error: Exception) -> SinkError:
    if kind in ("data", "partitions"):
        message = (
            f"{whom} refuses {what} because of its content (code {code}): {error}. "
            "The sink stops rather than leave rows out: report this with the message above"
        )
        return ContentRefused(message, code, sentence_of(error), by_partitions=kind == "partitions")
    return SinkError(f"{whom} answers {what} with an error that waiting does not mend (code {code}): {error}")

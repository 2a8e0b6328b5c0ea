"""In: the control and status topics. Out: what is known of them now, and how old that may be; on a thread of its own.

1. wait until Kafka answers and the topics are there;
2. read the documents to their end, then the statuses;
3. follow both, and ask every half second where the topics end: once that place is read, all that stood there when it
   was asked is known, which is what `behind_s` counts from.

Nothing is written and no offset committed: whoever starts again reads again. While Kafka is away after 2, what was read
stays in force and only grows older.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import PartitionMismatch, list_partitions
from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from runtime.health import Health
from runtime.metrics import CheckMetrics
from runtime.topic_guard import TopicGuard
from runtime.watermarks import is_transient
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import Topics
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import Known
from streamgauge.checking.rulebook import Rulebook, compile_rulebook
from streamgauge.checking.statuses import Statuses

_log = structlog.get_logger("check")

_PROBE_S: Final = 0.5
_GUARD_S: Final = 10.0
_AGAIN_S: Final = 2.0
#: Messages taken at once: few, so that the thread gives way to the answers often.
_BATCH: Final = 200


class StatusReplaced(RuntimeError):
    """The status topic is missing, or is not the one that was read before."""


class Follower:
    """`start` it, ask `known` from any thread. `fatal` is called once with what makes going on wrong."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        config: CheckConfig,
        clock: Clock,
        health: Health,
        metrics: CheckMetrics,
        fatal: Callable[[Exception], None],
    ) -> None:
        self._connection, self._topics, self._config = connection, topics, config
        self._clock, self._health, self._metrics, self._fatal = clock, health, metrics, fatal
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._rulebook: Rulebook = compile_rulebook(ControlSnapshot(), config.user_key)
        self._statuses = Statuses(self._unreadable)
        self._personal = config.personal
        #: Next offset by topic, and since when all that stood on it is known.
        self._position: dict[str, int] = {}
        self._current: dict[str, float] = {}
        #: Where a topic ended when it was asked, and when that was.
        self._asked: dict[str, tuple[int, float]] = {}
        self._probed_at = self._guarded_at = 0.0

    def known(self) -> Known:
        return Known(self._rulebook, self._statuses, self.behind_s(), self._personal)

    def behind_s(self) -> float | None:
        """Seconds since all that stood on the topics was known; None before they were read to their end."""
        wanted = self._wanted()
        since = [self._current[topic] for topic in wanted if topic in self._current]
        return self._clock.monotonic() - min(since) if len(since) == len(wanted) else None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._halt.set()
        if self._thread.is_alive():
            self._thread.join(timeout=15)

    def _wanted(self) -> tuple[str, ...]:
        return (self._topics.control, *self._status_topics())

    def _status_topics(self) -> tuple[str, ...]:
        return (self._topics.status, *((self._topics.status_users,) if self._personal else ()))

    def _run(self) -> None:
        try:
            if self._await_topics():
                self._follow()
        except Exception as error:  # noqa: BLE001  whatever ends this thread must end the process
            self._fatal(error)

    def _await_topics(self) -> bool:
        """Step 1. False when told to stop meanwhile."""
        from streamgauge.reach import KafkaUnreachable, reach_kafka

        while not self._halt.is_set():
            try:
                reach_kafka(self._connection)
                found = list_partitions(AdminClient(self._connection.librdkafka(log_level=0)), 10.0)
            except KafkaUnreachable as error:
                if not error.waiting_helps:
                    raise
                self._wait_out(str(error))
            except KafkaException as error:
                self._wait_out(str(error.args[0]))
            else:
                missing = [name for name in (self._topics.control, self._topics.status) if name not in found]
                if missing:
                    raise StatusReplaced(
                        f"topics are missing ({', '.join(missing)}): create them with `streamgauge topics`"
                    )
                if self._personal and self._topics.status_users not in found:
                    self._without_persons("it is not there, or this login may not see it")
                return True
        return False

    def _wait_out(self, why: str) -> None:
        self._health.failing(why)
        _log.warning("kafka.waiting", why=why)
        self._halt.wait(_AGAIN_S)

    def _without_persons(self, why: str) -> None:
        self._personal = False
        _log.warning("check.no_persons", topic=self._topics.status_users, why=why, consequence="they stay unknown")

    def _follow(self) -> None:
        """Steps 2 and 3."""
        control = ControlLog(self._connection, self._topics.control)
        consumer = Consumer(
            self._connection.consumer(
                f"{self._connection.client_id}.status.unused",
                isolation_level="read_committed",
                enable_partition_eof=True,
            )
        )
        guard = TopicGuard(self._connection, self._topics, "check") if self._personal else None
        try:
            while not self._read_documents(control):
                if self._halt.is_set():
                    return
            self._assign(consumer)
            ready = False
            while not self._halt.is_set():
                try:
                    self._take(consumer)
                    self._compile(control.poll())
                    self._probe(consumer)
                except KafkaException as error:
                    # Waited out like an outage: what was read stays in force, and answers say how old it is.
                    _log.error("check.cannot_follow", error=str(error.args[0]), again_in_s=_AGAIN_S)
                    self._halt.wait(_AGAIN_S)
                behind = self.behind_s()
                self._metrics.read_behind.set(-1.0 if behind is None else behind)
                self._health.progress()
                if behind is not None and not ready:
                    ready = True
                    self._health.ready(True)
                    _log.info("check.ready", budgets=len(self._rulebook.budgets.entries), statuses=len(self._statuses))
                self._guard(guard)
        finally:
            consumer.close()
            control.close()

    def _read_documents(self, control: ControlLog) -> bool:
        try:
            self._compile(control.read_to_end(timeout_s=10.0))
            return True
        except (TimeoutError, KafkaException) as error:
            self._wait_out(str(error))
            return False

    def _assign(self, consumer: Consumer) -> None:
        consumer.assign(
            [TopicPartition(topic, 0, self._position.get(topic, OFFSET_BEGINNING)) for topic in self._status_topics()]
        )

    def _take(self, consumer: Consumer) -> None:
        """Whatever statuses have come."""
        for message in consumer.consume(_BATCH, 0.05):
            topic, error = message.topic() or "", message.error()
            if error is None:
                key = message.key()
                if key is not None:
                    self._statuses.take(key, message.value(), topic)
                self._position[topic] = (message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._position[topic] = max(self._position.get(topic, 0), message.offset() or 0)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise StatusReplaced(
                    f"{topic} no longer reaches to offset {self._position.get(topic, 0)}, up to which it was read: it "
                    "was made again; start this process again"
                )
            elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and topic == self._topics.status_users:
                self._without_persons(error.str())
                self._assign(consumer)
            elif not is_transient(error):
                raise KafkaException(error)
        self._metrics.statuses.set(len(self._statuses))

    def _compile(self, snapshot: ControlSnapshot) -> None:
        if snapshot.position != self._rulebook.position:
            self._rulebook = compile_rulebook(snapshot, self._config.user_key, self._rulebook)
            self._metrics.budgets.set(len(self._rulebook.budgets.entries))
        self._position[self._topics.control] = snapshot.position

    def _probe(self, consumer: Consumer) -> None:
        """Learn what is known to its end, and ask anew where the ends are."""
        for topic, (end, asked_at) in list(self._asked.items()):
            if self._position.get(topic, 0) >= end:
                self._current[topic] = asked_at
                del self._asked[topic]
        now = self._clock.monotonic()
        if now - self._probed_at < _PROBE_S:
            return
        self._probed_at = now
        for topic in self._wanted():
            if topic in self._asked:
                continue
            # Before the question: what comes in while it is under way is not known.
            asked_at = self._clock.monotonic()
            try:
                # The embedded broker tells too early an end; its partition's own end-of-file event does not.
                end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=1.0, cached=False)[1]
            except KafkaException:
                return
            self._asked[topic] = (end, asked_at)

    def _guard(self, guard: TopicGuard | None) -> None:
        """Ends the process when a topic is gone or was made again: its statuses are of another life."""
        now = self._clock.monotonic()
        if guard is None or now - self._guarded_at < _GUARD_S:
            return
        self._guarded_at = now
        try:
            guard.check()
        except PartitionMismatch as error:
            # Nothing here depends on the counts; whoever does stops by itself.
            _log.warning("check.partitions", why=str(error))
        except KafkaException as error:
            _log.warning("kafka.waiting", why=str(error.args[0]))

    def _unreadable(self, why: str) -> None:
        self._metrics.unreadable.inc()
        _log.error("check.unreadable", why=why[:500])

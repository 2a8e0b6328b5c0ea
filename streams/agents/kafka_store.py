"""In: settlements of one shard. Out: `usage.state`, `governance.alerts`, `governance.status` and
`governance.status.users`, in one transaction each.

The transactional id names the tally partition, so opening a shard elsewhere fences this producer at its next commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.log_limit import Repeats
from runtime.watermarks import is_transient, log_bounds
from schemas.positions import Headers
from schemas.topics import Topics
from streams.agents.shard import Settlement
from streams.agents.store import Fenced, StoreBroken, StoreStopped, TalliesLost
from streams.agents.tally_message import TallyMessage, read_tally

_log = structlog.get_logger("agents")

#: An open transaction of a dead process holds back readers of alerts and statuses this long, unless a new owner ends
#: it.
_TRANSACTION_MS: Final = 15_000
_BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: After a stop was asked for, Kafka gets this long to answer the last commit.
_GRACE_S: Final = 10.0
_FENCED: Final = (
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
)


class KafkaStateStore:
    """State of tally partition `partition` on Kafka."""

    def __init__(
        self, partition: int, connection: KafkaConnection, topics: Topics, health: Health, stopping: threading.Event
    ) -> None:
        self._partition = partition
        self._connection = connection
        self._topics = topics
        self._health = health
        self._stopping = stopping
        self._producer: Producer | None = None
        self._reports = Repeats()

    def open(self) -> Mapping[str, bytes]:
        """1 shut out the owner before, which also ends what it left open; 2 read the partition to its end.

        A crash after 1 leaves no owner; whoever opens next does the same.
        """
        producer = Producer(
            self._connection.librdkafka(
                transactional_id=f"{self._topics.prefix}streamgauge.agents.{self._partition}",
                transaction_timeout_ms=_TRANSACTION_MS,
                linger_ms=5,
            )
            | {"error_cb": self._noticed}
        )
        self._retry("init_transactions", lambda: producer.init_transactions(30))  # 1
        self._producer = producer
        return self.read()  # 2

    def _noticed(self, error: KafkaError) -> None:
        """librdkafka's own reports; what fails a transaction is raised there as well. They come in heaps, at the next
        call.
        """
        held = self._reports.due(error.code())
        if held is not None:
            _log.warning("agents.kafka", partition=self._partition, error=error.str(), held_back=held)

    def read(self) -> dict[str, bytes]:
        """Every record that stands, by key, without taking ownership."""
        consumer = Consumer(
            self._connection.consumer(
                f"{self._topics.prefix}streamgauge.agents.state",
                isolation_level="read_committed",
                enable_partition_eof=True,
            )
        )
        records: dict[str, bytes] = {}
        try:
            consumer.assign([TopicPartition(self._topics.state, self._partition, OFFSET_BEGINNING)])
            while True:
                for message in consumer.consume(1_000, 0.1):
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            return records
                        if not is_transient(error):
                            raise KafkaException(error)
                        self._wait("read usage.state", error, 0)
                        continue
                    key, value = message.key(), message.value()
                    if key is None:
                        continue
                    if value is None:
                        records.pop(key.decode(), None)
                    else:
                        records[key.decode()] = value
                self._stop_when_asked()
        finally:
            consumer.close()

    def commit(self, settlement: Settlement) -> None:
        """1 begin, 2 produce everything, 3 commit. A crash before 3 writes nothing: the next owner ends the
        transaction.

        No delivery callbacks and no flush: the commit awaits every record and raises what went wrong with any.
        """
        try:
            self._commit(settlement)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in _FENCED:
                raise Fenced(
                    f"tally partition {self._partition} belongs to another process now: {error.str()}"
                ) from failure
            if error.fatal():
                # After a broker's crash the coordinator may know nothing of the transaction that is to be ended.
                raise StoreBroken(
                    f"tally partition {self._partition}: the transaction was lost ({error.str()})"
                ) from failure
            raise

    def _commit(self, settlement: Settlement) -> None:
        attempt = 0
        while True:
            try:
                self._write(settlement)
                return
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if error.fatal() or not (error.txn_requires_abort() or is_transient(error)):
                    raise
                self._wait("commit", error, attempt)
                self._retry("abort", self._abort)
                attempt += 1

    def _write(self, settlement: Settlement) -> None:
        assert self._producer is not None, "open() comes first"
        producer = self._producer
        producer.begin_transaction()  # 1
        for key, value in settlement.records:  # 2
            producer.produce(self._topics.state, value, key, partition=self._partition)
        for alert in settlement.alerts:
            producer.produce(self._topics.alerts, alert.model_dump_json(), alert.alert_id, partition=0)
        for key, value in settlement.statuses:
            producer.produce(self._topics.status, value, key, partition=0)
        for key, value in settlement.personal:
            producer.produce(self._topics.status_users, value, key, partition=0)
        self._retry("commit", lambda: producer.commit_transaction(30))  # 3

    def _abort(self) -> None:
        assert self._producer is not None
        try:
            self._producer.abort_transaction(30)
        except KafkaException as failure:
            # Nothing was begun: the failure came before the first record.
            if failure.args[0].code() != KafkaError._STATE:
                raise

    def _retry(self, what: str, call: Callable[[], None]) -> None:
        """Repeat a call that Kafka says may be repeated."""
        attempt = 0
        while True:
            try:
                call()
                return
            except KafkaException as failure:
                error: KafkaError = failure.args[0]
                if error.fatal() or error.txn_requires_abort() or not is_transient(error):
                    raise
                self._wait(what, error, attempt)
                attempt += 1

    def _wait(self, what: str, error: KafkaError, attempt: int) -> None:
        wait_s = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
        why = f"{what} of tally partition {self._partition} waits for Kafka: {error.str()}"
        _log.warning("agents.waiting", partition=self._partition, step=what, error=error.str(), again_in_s=wait_s)
        self._health.failing(why)
        if attempt * wait_s >= _GRACE_S:
            self._stop_when_asked()
        self._stopping.wait(wait_s) if not self._stopping.is_set() else time.sleep(wait_s)

    def _stop_when_asked(self) -> None:
        if self._stopping.is_set():
            raise StoreStopped(f"stopped while tally partition {self._partition} waited for Kafka")

    def close(self) -> None:
        self._producer = None


class KafkaTallyLog:
    """`usage.tallies`, read by assignment, beside the group."""

    def __init__(self, connection: KafkaConnection, topics: Topics, group: str) -> None:
        self._connection, self._topics, self._group = connection, topics, group

    def _consumer(self) -> Consumer:
        # log_level: whoever reads says himself that Kafka is away.
        return Consumer(self._connection.consumer(self._group, enable_partition_eof=True, log_level=2))

    def read(self, partition: int, first: int, until: int) -> Iterator[TallyMessage]:
        if first >= until:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self._topics.tallies, partition, first)])
            while True:
                for message in consumer.consume(500, 0.1):
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            return
                        if error.code() == KafkaError._AUTO_OFFSET_RESET:
                            raise self._lost(consumer, partition, first)
                        if not is_transient(error):
                            raise KafkaException(error)
                        _log.warning("agents.waiting", partition=partition, step="read back", error=error.str())
                        continue
                    offset = message.offset()
                    assert offset is not None
                    if offset >= until:
                        return
                    yield read_tally(offset, cast(Headers | None, message.headers()), message.value(), partition)
                    if offset + 1 >= until:
                        return
        finally:
            consumer.close()

    def _lost(self, consumer: Consumer, partition: int, first: int) -> TalliesLost:
        low, high = log_bounds(consumer, self._topics.tallies, partition)
        why = "was deleted before the agents had read it" if first < low else "has not been written: the log is new"
        return TalliesLost(
            f"{self._topics.tallies} partition {partition} holds offsets [{low}, {high}), the agents go on at {first}, "
            f"which {why}. Going on would make totals wrong without a word: stop all agents, run "
            "`streamgauge rebuild`, start them again"
        )

    def traces(self, partition: int) -> str | None:
        """The group's offset, and a log whose beginning is gone. The offset is committed only after the shard was open,
        and so after its first checkpoint.
        """
        consumer = self._consumer()
        try:
            wanted = [TopicPartition(self._topics.tallies, partition)]
            (committed,) = self._committed(consumer, wanted)
            low = log_bounds(consumer, self._topics.tallies, partition)[0]
        finally:
            consumer.close()
        if committed.offset >= 0:
            return f"the group {self._group} has read its tallies up to offset {committed.offset}"
        if low > 0:
            return f"its tallies begin at offset {low}: earlier ones were deleted"
        return None

    def _committed(self, consumer: Consumer, wanted: list[TopicPartition]) -> list[TopicPartition]:
        deadline = time.monotonic() + 60.0
        while True:
            try:
                return consumer.committed(wanted, timeout=10)
            except KafkaException as failure:
                if not is_transient(failure.args[0]) or time.monotonic() > deadline:
                    raise
                _log.warning("agents.waiting", step="read the group's offsets", error=failure.args[0].str())
                time.sleep(0.2)

    def beginning(self, partition: int) -> int:
        consumer = self._consumer()
        try:
            return log_bounds(consumer, self._topics.tallies, partition)[0]
        finally:
            consumer.close()

    def is_read(self, positions: Mapping[int, int]) -> bool:
        """Whether nothing stands at or beyond these offsets. For health alone: the embedded broker tells ends late."""
        consumer = self._consumer()
        try:
            return all(
                log_bounds(consumer, self._topics.tallies, partition)[1] <= position
                for partition, position in positions.items()
            )
        finally:
            consumer.close()

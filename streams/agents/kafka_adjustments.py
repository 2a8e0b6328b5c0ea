"""In: `usage.adjustments` on Kafka. Out: where it ends, and what a shard has not added yet.

One thread follows the end, so that shards need not ask; each shard then reads from its own position to the end in one
go, so that no part of an adjustment is judged without the others: all of them were written in one transaction.
"""

from __future__ import annotations

import threading
from typing import Final, cast

import pyarrow as pa
import structlog
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient
from schemas.adjustments import read_adjustment
from schemas.arrow_ipc import UnreadableBlock, from_ipc
from schemas.positions import Headers, PositionError
from schemas.tallies import TALLIES
from schemas.topics import Topics
from streams.agents.adjustments import Corrections, home_rows
from streams.agents.store import StoreStopped, TalliesLost

_log = structlog.get_logger("agents")

_POLL_S: Final = 0.5


class KafkaAdjustmentLog:
    """Thread-safe: every read has a consumer of its own."""

    def __init__(self, connection: KafkaConnection, topics: Topics, stopping: threading.Event) -> None:
        self._connection, self._topics, self._stopping = connection, topics, stopping
        self._end = 0
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="adjustments", daemon=True)

    @property
    def end(self) -> int:
        return self._end

    def start(self) -> None:
        """Follow the end until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        self._halt.set()
        if self._thread.is_alive():
            self._thread.join()

    def _consumer(self) -> Consumer:
        group = f"{self._topics.prefix}streamgauge.agents.adjustments"
        # log_level: while Kafka is away the client says so twenty times a second; `_follow` and `read` say it too.
        return Consumer(
            self._connection.consumer(group, isolation_level="read_committed", enable_partition_eof=True, log_level=2)
        )

    def _follow(self) -> None:
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self._topics.adjustments, 0, OFFSET_END)])
            while not self._halt.is_set():
                for message in consumer.consume(1_000, _POLL_S):
                    error = message.error()
                    if error is None:
                        self._end = max(self._end, (message.offset() or 0) + 1)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        self._end = max(self._end, message.offset() or 0)
                    else:
                        # Nothing is lost by waiting: shards read from their own positions once the log answers.
                        _log.warning("agents.adjustments_waiting", error=error.str())
        finally:
            consumer.close()

    def read(self, first: int, partition: int) -> Corrections:
        """Raises TalliesLost when `first` is no offset of this log, PositionError for a message nobody may skip."""
        tables: list[pa.Table] = []
        consumer = self._consumer()
        try:
            start = first if first > 0 else OFFSET_BEGINNING
            consumer.assign([TopicPartition(self._topics.adjustments, 0, start)])
            while True:
                for message in consumer.consume(1_000, 0.1):
                    error = message.error()
                    if error is None:
                        self._take(message, tables)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        end = max(first, message.offset() or 0)
                        self._end = max(self._end, end)
                        return Corrections(home_rows(tables, partition, self._topics.tally_partitions), end)
                    elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                        raise TalliesLost(
                            f"{self._topics.adjustments} has no offset {first}, where tally partition {partition} "
                            "goes on: it was made anew. Run `streamgauge rebuild --all`"
                        )
                    elif not is_transient(error):
                        raise KafkaException(error)
                    else:
                        _log.warning("agents.waiting", partition=partition, step="read adjustments", error=error.str())
                if self._stopping.is_set():
                    raise StoreStopped(f"stopped while tally partition {partition} read {self._topics.adjustments}")
        finally:
            consumer.close()

    def _take(self, message: Message, tables: list[pa.Table]) -> None:
        headers, offset = cast(Headers | None, message.headers()), message.offset()
        try:
            part = read_adjustment(headers)
        except PositionError as error:
            if headers:
                raise PositionError(f"{self._topics.adjustments}, offset {offset}: {error}") from error
            _log.error("agents.no_adjustment", offset=offset, consequence="the message is passed over")
            return
        if part.form == "tallies":
            try:
                tables.append(from_ipc(message.value(), TALLIES))
            except UnreadableBlock as error:
                raise PositionError(
                    f"{self._topics.adjustments}, offset {offset}, adjustment {part.adjustment_id}: {error}"
                ) from error

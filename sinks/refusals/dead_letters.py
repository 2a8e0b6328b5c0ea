"""In: rows that ClickHouse refused. Out: records of `usage.rejected`, acknowledged by the broker.

A record's identity is the source position of its event, so one that is published again after a crash is the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from runtime.connection import KafkaConnection
from schemas.arrow_ipc import to_ipc
from schemas.enriched import ENRICHED
from schemas.positions import version_header
from schemas.rejections import Rejection, pack_raw
from sinks.errors import SinkError
from sinks.refusals.isolate import RefusedRow

_ANSWER_S: Final = 10.0
_MAX_SENTENCE: Final = 1_000


def rejection_of(refused: RefusedRow, topic: str) -> Rejection:
    """The record of one refused row. `topic`: where its event stands."""
    row = refused.row.select(ENRICHED.names)

    def value(name: str) -> Any:
        return row[name][0].as_py()

    raw, sha256, size, truncated = pack_raw(to_ipc(row.cast(ENRICHED)))
    return Rejection(
        code="refused_by_clickhouse",
        message=f"ClickHouse refuses the row with code {refused.code}: {refused.sentence[:_MAX_SENTENCE]}",
        topic=topic,
        partition=value("src_partition"),
        offset=value("src_offset"),
        index=value("src_index"),
        appended_at_us=row["ingested_at"].cast("int64")[0].as_py(),
        source=value("source"),
        event_id=value("event_id"),
        raw=raw,
        raw_sha256=sha256,
        raw_bytes=size,
        raw_truncated=truncated,
    )


class DeadLetters:
    """Publishes to `usage.rejected`. Not thread-safe."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            connection.librdkafka(enable_idempotence=True, acks="all", message_timeout_ms=0, linger_ms=2)
        )
        self._open: set[bytes] = set()
        self._failed: list[KafkaError] = []

    def publish(self, rejections: Sequence[Rejection]) -> None:
        """Return when all are acknowledged. ConnectionError when that takes long: call again with the same, which sends
        nothing twice. SinkError when the broker refuses one.
        """
        for rejection in rejections:
            key = f"{rejection.partition}:{rejection.offset}:{rejection.index}".encode()
            if key not in self._open:
                self._open.add(key)
                self._producer.produce(
                    self._topic,
                    rejection.model_dump_json().encode(),
                    key,
                    0,
                    headers=[version_header()],
                    on_delivery=self._delivered,
                )
        left = self._producer.flush(_ANSWER_S)
        if self._failed:
            raise SinkError(
                f"a row that ClickHouse refuses cannot be set aside on {self._topic}: {self._failed[0].str()}. Nothing "
                "was committed: the row is met again at the next start"
            )
        if left:
            raise ConnectionError(f"Kafka has not acknowledged {left} records of {self._topic} in {_ANSWER_S:.0f} s")
        self._open.clear()

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append(error)

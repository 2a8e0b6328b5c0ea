"""In: where the ledger of a partition ends, and what `usage.enriched` holds of it. Out: the offset to begin at, or the
stop with the way out. Nothing begins elsewhere in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient
from sinks.errors import SinkError
from sinks.events.ledger import ChainEnd

_log = structlog.get_logger("sink")

_ASK_S: Final = 10.0


def refuse_further_partitions(places: Sequence[TopicPartition], count: int) -> None:
    """SinkError for a partition that the settings do not know: other roles would not either."""
    if any(place.partition >= count for place in places):
        raise SinkError(
            f"{places[0].topic} has more partitions than the {count} of topics.event_partitions: set that to the new "
            "count for every role (docs/operations.md, Partition counts), and start again"
        )


def bounds_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """[low, high) as the broker tells it now. KafkaException when it does not."""
    low, high = consumer.get_watermark_offsets(place, timeout=_ASK_S)
    return low, high


def first_offset(
    connection: KafkaConnection,
    place: TopicPartition,
    bounds: tuple[int, int],
    end: ChainEnd | None,
    *,
    reread: bool,
    accept_gaps: bool,
) -> int:
    """Where to begin. `bounds`: [low, high) as the broker tells it; `end`: None where the ledger has nothing of this
    log, which is then read from its beginning.

    A place before `low` was passed by retention: reading begins at `low`, and the chain of source ranges says what is
    missing. One behind the end means that the topic was made anew or cut: only a person knows which. SinkError.
    """
    low, high = bounds
    name = f"{place.topic} partition {place.partition}"
    if end is None:
        return low
    if end.resume < low:
        _log.warning("sink.retention_passed", partition=place.partition, resume=end.resume, low=low)
        if low == high and not accept_gaps:
            raise SinkError(
                f"{name}: offsets {end.resume} to {low - 1} were removed before ClickHouse had them, and nothing is "
                f"left behind them: source offsets from {end.applied} on are missing. If retention took them, start "
                "the sink once with accept_gaps (STREAMGAUGE_SINK__ACCEPT_GAPS=true): it goes on behind, and "
                "`streamgauge reconcile` names what is missing"
            )
        return low
    if end.resume <= high or end.resume <= log_end(connection, place, bounds):
        return end.resume
    if reread:
        _log.warning("sink.reread", partition=place.partition, resume=end.resume, low=low, high=high)
        return low
    raise SinkError(
        f"{name} ends at offset {high}, and the ledger in ClickHouse goes on at {end.resume}: the topic was made anew, "
        "or its end was lost with a broker. Start the sink once with STREAMGAUGE_SINK__REREAD=true: it reads what the "
        "topic holds from its beginning, skips what ClickHouse has, and stops where source offsets from "
        f"{end.applied} on are missing"
    )


def log_end(connection: KafkaConnection, place: TopicPartition, bounds: tuple[int, int], wait_s: float = 30.0) -> int:
    """The offset behind the last message, found by reading to it: the embedded broker's `high` is one behind the
    *first* message of its last batch.
    """
    low, high = bounds
    consumer = Consumer(connection.consumer("streamgauge.sink.end", enable_partition_eof=True))
    try:
        consumer.assign([TopicPartition(place.topic, place.partition, max(low, high - 1))])
        while (message := consumer.poll(wait_s)) is not None:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                offset = message.offset()
                assert offset is not None
                return offset
            if not is_transient(error):
                raise KafkaException(error)
    finally:
        consumer.close()
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{place.topic}: no end in {wait_s:.0f} s"))

"""In: `usage.adjustments` and ClickHouse. Out: nothing, once the sink has written every adjustment that there is.

What was corrected already is asked of ClickHouse, so the answer counts only when ClickHouse has all of it. The topic
has one partition and is inserted in order: who finds its last event message in the table knows that the rest is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.clock import Clock
from runtime.watermarks import is_transient, log_bounds
from schemas.adjustments import AdjustmentPart, read_adjustment
from schemas.positions import PositionError
from sinks.corrections.adjustments import is_written
from sinks.database import Database
from streamgauge.adjusting.writer import AdjustmentWriter

_READ_TIMEOUT_S: Final = 60.0
#: Messages looked at from the end first; a transaction ends with event messages, so it is there as a rule.
_TAIL: Final = 8


class NotWritten(RuntimeError):
    """The sink has not written an adjustment that stands on the topic."""


def wait_until_written(
    writer: AdjustmentWriter,
    database: Database,
    clock: Clock,
    tell: Callable[[str], None] = lambda _: None,
    timeout_s: float = 120.0,
) -> None:
    """Return when ClickHouse has all adjustments. `tell` gets one sentence if that needs waiting.

    Raises NotWritten after `timeout_s`.
    """
    last = last_adjustment(writer)
    if last is None:
        return
    offset, part = last
    deadline, told = clock.monotonic() + timeout_s, False
    while not is_written(database, part.adjustment_id, offset):
        if clock.monotonic() > deadline:
            raise NotWritten(
                f"adjustment {part.adjustment_id} of {part.made_at:%Y-%m-%d %H:%M} UTC stands on "
                f"{writer.topics.adjustments} at offset {offset}, but ClickHouse does not have it after "
                f"{timeout_s:.0f} s: start the sink (`streamgauge sink`) and run this again. Nothing was changed"
            )
        if not told:
            tell(f"Waiting for the sink to write adjustment {part.adjustment_id} (offset {offset}) to ClickHouse.")
            told = True
        time.sleep(0.25)


def last_adjustment(writer: AdjustmentWriter) -> tuple[int, AdjustmentPart] | None:
    """Offset and header of the topic's last message of form `events`; None on a topic without any."""
    topic = writer.topics.adjustments
    consumer = Consumer(
        writer.connection.consumer(
            f"{writer.connection.client_id}.adjustments.unused",
            isolation_level="read_committed",
            enable_partition_eof=True,
            auto_offset_reset="earliest",
        )
    )
    try:
        low, high = log_bounds(consumer, topic, 0)
        back = _TAIL
        while True:
            start = max(low, high - back)
            found = _last_events(consumer, topic, start)
            if found is not None or start == low:
                return found
            back *= 8
    finally:
        consumer.close()


def _last_events(consumer: Consumer, topic: str, start: int) -> tuple[int, AdjustmentPart] | None:
    """The last such message from `start` to the end of the partition as the broker tells it."""
    consumer.assign([TopicPartition(topic, 0, start)])
    found: tuple[int, AdjustmentPart] | None = None
    waited = 0.0
    while waited < _READ_TIMEOUT_S:
        messages = consumer.consume(100, 0.2)
        for message in messages:
            error = message.error()
            if error is None:
                part = _part(message)
                if part is not None and part.form == "events":
                    found = (message.offset() or 0, part)
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            elif not is_transient(error):
                raise KafkaException(error)
        waited = 0.0 if messages else waited + 0.2
    raise TimeoutError(f"the end of {topic} was not reached in {_READ_TIMEOUT_S:.0f} s: is Kafka reachable?")


def _part(message: Message) -> AdjustmentPart | None:
    try:
        return read_adjustment(message.headers())
    except PositionError:
        # A foreigner's message is no adjustment; the sink counts it as unreadable.
        return None

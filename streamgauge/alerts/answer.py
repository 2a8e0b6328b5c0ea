"""In: somebody's word on an alert. Out: what the agents make of it: the next state of that alert, waited for."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient
from schemas.alerts import Alert, Said
from streamgauge.alerts.reading import Story, parse
from streamgauge.tail import Record

#: Agents read control documents within a second; more is a sign that none runs.
WAIT_S: Final = 60.0


class NoAnswer(TimeoutError):
    """No agent told anything of the alert."""


def await_answer(
    connection: KafkaConnection, topic: str, after: int, story: Story, said: Said, wait_s: float = WAIT_S
) -> Alert:
    """The first state of the alert from offset `after` on that has this word, or is its end. NoAnswer."""
    consumer = Consumer(
        connection.consumer(
            f"{connection.client_id}.reader.unused", auto_offset_reset="earliest", isolation_level="read_committed"
        )
    )
    try:
        consumer.assign([TopicPartition(topic, 0, after)])
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF or is_transient(error):
                    continue
                raise KafkaException(error)
            alert = parse(Record(message.offset() or 0, message.key(), message.value()), lambda _why: None)
            if alert is None or alert.alert_id != story.alert_id or alert.revision <= story.last.revision:
                continue
            if alert.said == said or alert.state == "resolved":
                return alert
    finally:
        consumer.close()
    raise NoAnswer(
        f"your word on {story.alert_id} is recorded, but no agent answered within {wait_s:.0f} s: see whether "
        "`streamgauge agents` runs (`streamgauge doctor`); they take it up when they do"
    )

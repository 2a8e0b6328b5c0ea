"""In: traffic and a Kafka. Out: its messages on the topics, at a steady rate, and the oracle told of each.

Single-threaded: `tick` sends what is due and hears what is acknowledged. A broker that is away is waited for; messages
never expire and keep their order, so the n-th message of a partition has the offset n, which every acknowledgement must
confirm: otherwise the oracle would judge another input.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Final, cast

from confluent_kafka import KafkaError, Message, Producer

from runtime.connection import KafkaConnection
from schemas.topics import Topics
from tests.crash.oracle import Event, Garbage, Oracle
from tests.crash.traffic import Sent, Traffic

#: Messages on their way to a broker that does not answer, at most.
_UNDER_WAY: Final = 4_000
#: Of every six seconds the last part is silent: roles have moments without input.
_CYCLE_S: Final = 6.0
_SILENT_S: Final = 1.5


class Feed:
    """Sends while `running`."""

    def __init__(
        self, connection: KafkaConnection, topics: Topics, traffic: Traffic, oracle: Oracle, rate: float
    ) -> None:
        self._topics = {"events": topics.events, "outcomes": topics.outcomes}
        self._traffic, self._oracle, self._rate = traffic, oracle, rate
        self._producer = Producer(
            connection.librdkafka(enable_idempotence=True, acks="all", linger_ms=5, message_timeout_ms=0)
            | {"error_cb": lambda _error: None, "log_level": 2}
        )
        self._next: Counter[tuple[str, int]] = Counter()
        self._under_way = 0
        self._due = 0.0
        self._at = time.monotonic()
        self.messages = 0
        self.running = False
        #: Acknowledgements that were not as they must be.
        self.surprises: list[str] = []

    @property
    def settled(self) -> bool:
        return self._under_way == 0

    def begin(self, label: str) -> None:
        self._traffic.begin(label)
        self._at, self._due, self.running = time.monotonic(), 0.0, True

    def end(self) -> None:
        """Stop, and close the periods that have begun."""
        self.running = False
        for sent in self._traffic.close():
            self._send(sent)

    def tick(self) -> None:
        now = time.monotonic()
        if self.running and self._under_way < _UNDER_WAY:
            if now % _CYCLE_S < _CYCLE_S - _SILENT_S:
                self._due += min(now - self._at, 0.5) * self._rate
            while self._due >= 1:
                self._due -= 1
                self._send(self._traffic.next())
        self._at = now
        self._producer.poll(0)

    def _send(self, sent: Sent) -> None:
        offset = self._next[sent.topic, sent.partition]
        self._next[sent.topic, sent.partition] += 1
        self._producer.produce(
            self._topics[sent.topic],
            sent.value,
            sent.key,
            sent.partition,
            on_delivery=partial(self._delivered, offset),
        )
        self._under_way += 1
        self.messages += 1
        if sent.topic == "outcomes":
            self._oracle.take_outcome(sent.partition, offset, cast(list[Event], sent.content)[0])
        else:
            self._oracle.take(sent.partition, offset, cast("list[Event] | Garbage", sent.content))

    def _delivered(self, expected: int, error: KafkaError | None, message: Message) -> None:
        self._under_way -= 1
        if error is not None or message.offset() != expected:
            self.surprises.append(
                f"{message.topic()}[{message.partition()}]: message {expected} was acknowledged at {message.offset()} "
                f"({error.str() if error is not None else 'no error'})"
            )

"""A broker and a ClickHouse in; a sink running in this process, with the topics it reads, to be fed and stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from runtime.admin import create_topics
from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from schemas.topics import Topics
from sinks.config import ClickHouseTarget, SinkConfig
from sinks.database import Database
from sinks.run import run_sink
from tests.support.blocks import BlockMessage

DEADLINE_S = 60.0
#: Small figures, so that tests are quick; what they mean is the same.
CONFIG = SinkConfig(flush_s=0.1, poll_ms=50, retry_first_s=0.1, retry_cap_s=0.5)


@dataclass
class SinkHouse:
    """Topics of one installation on a broker, and one database."""

    bootstrap: str
    prefix: str
    target: ClickHouseTarget
    partitions: int = 2
    config: SinkConfig = CONFIG
    topics: Topics = field(init=False)
    connection: KafkaConnection = field(init=False)

    def __post_init__(self) -> None:
        self.topics = Topics(self.prefix, self.partitions, 1)
        self.connection = KafkaConnection(self.bootstrap, session_timeout_ms=6_000)
        create_topics(self.connection, self.topics)

    def put(self, topic: str, partition: int, messages: Sequence[BlockMessage], key: bytes | None = None) -> list[int]:
        """Produce and return the offsets."""
        producer = Producer(self.connection.librdkafka())
        offsets: list[int] = []

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            offsets.append(message.offset())

        for message in messages:
            producer.produce(
                topic, message.value, key, partition, headers=message.headers or None, on_delivery=delivered
            )
        assert producer.flush(30) == 0
        return offsets

    def running(self) -> RunningSink:
        return RunningSink(self)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with Database.open(self.target) as database:
            return database.query(sql)

    def wait_for(self, sql: str, wanted: list[tuple[Any, ...]], sink: RunningSink | None = None) -> None:
        """Ask until the answer is `wanted`; the last answer is the failure's message."""

        def there() -> bool:
            if sink is not None:
                sink.check()
            found[:] = self.query(sql)
            return found == wanted

        found: list[tuple[Any, ...]] = []
        wait_until(there, lambda: f"{sql} gives {found}, not {wanted}")


class RunningSink:
    """The sink in a thread; leaving the block stops it and raises what it died of."""

    def __init__(self, house: SinkHouse) -> None:
        self.registry = CollectorRegistry()
        self.health = Health()
        self.halt = threading.Event()
        self.error: BaseException | None = None
        self._house = house
        self._thread = threading.Thread(target=self._run, name="sink")

    def _run(self) -> None:
        house = self._house
        try:
            run_sink(
                house.config,
                house.connection,
                house.topics,
                house.target,
                SystemClock(),
                self.halt,
                self.registry,
                self.health,
                None,
            )
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def await_error(self) -> None:
        """Wait until the sink has ended by itself; leaving the block raises why."""
        wait_until(lambda: self.error is not None, lambda: "the sink goes on")

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self.error is not None or self.health.readiness().ok, lambda: "the sink did not get ready")
        self.check()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.halt.set()
        self._thread.join(DEADLINE_S)
        if exc is None:
            assert not self._thread.is_alive(), f"the sink has not stopped {DEADLINE_S:.0f} s after it was told to"
            self.check()


def wait_until(condition: Callable[[], bool], failure: Callable[[], str], deadline_s: float = DEADLINE_S) -> None:
    """Poll `condition`; AssertionError with `failure()` at the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, failure()
        time.sleep(0.05)

"""The Faust worker as a process: alerts once, whatever is killed when."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.control.budgets import Budget
from schemas.control.records import dump_record, record_key
from schemas.positions import Headers
from schemas.tallies import home_partition
from schemas.topics import Topics
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import budget, budget_row, cell, idle, message, us, wire

NOON = us("2026-11-10T12:00:00+00:00")
MINUTE = 60_000_000
DEADLINE_S = 120.0


class House:
    """Topics with one budget, and what a test says and hears on them."""

    def __init__(self, bootstrap: str, prefix: str, log: Path) -> None:
        self.connection = KafkaConnection(bootstrap, session_timeout_ms=3_000, fetch_wait_ms=50)
        self.topics = Topics(prefix, event_partitions=2, tally_partitions=2)
        self.log = log
        create_topics(self.connection, self.topics)
        self.budget: Budget = budget("search-monthly", "100")
        self.home = home_partition(f"budget/{self.budget.id}", 2)
        self._producer = Producer(self.connection.librdkafka(linger_ms=0))
        self._offsets = [0, 0]
        self._position = [0, 0]
        self._send(self.topics.control, 0, dump_record(self.budget), record_key(self.budget), [])

    def _send(self, topic: str, partition: int, value: bytes, key: str | None, headers: Headers) -> None:
        failures: list[Any] = []
        self._producer.produce(
            topic, value, key, partition=partition, headers=headers, on_delivery=lambda error, _: failures.append(error)
        )
        self._producer.flush(30)
        assert failures == [None], failures

    def _tell(self, told: TallyMessage, tally: int) -> None:
        headers, value = wire(told)
        self._send(self.topics.tallies, tally, value, None, headers)

    def spend(self, usd: str, at_us: int, input_partition: int = 0) -> None:
        """One range of an input partition, told to both tally partitions; the other input is idle."""
        first = self._position[input_partition]
        self._position[input_partition] = first + 10
        for tally in range(2):
            rows = [budget_row(self.budget, at_us, usd)] if tally == self.home else []
            if tally == home_partition("team/search", 2):
                rows.append(cell(at_us, cost_nanousd=1))
            self._tell(message(0, first, first + 10, at_us, rows, partition=input_partition), tally)
            other = 1 - input_partition
            self._tell(idle(0, self._position[other], None, partition=other), tally)

    @contextmanager
    def agents(self, *strike: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "tests.streams.agents.agents_process"]
        command += [self.connection.bootstrap, self.topics.prefix, *strike]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)

    def read(self, topic: str, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Everything on a single-partition topic once it is enough; fails with the log when that takes too long."""
        consumer = Consumer(self.connection.consumer("test", isolation_level="read_committed"))
        found: list[dict[str, Any]] = []
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            deadline = time.monotonic() + DEADLINE_S
            while time.monotonic() < deadline:
                for told in consumer.consume(100, 0.2):
                    assert told.error() is None, told.error()
                    value = told.value()
                    if value is not None:
                        found.append(json.loads(value))
                if enough(found):
                    return found
        finally:
            consumer.close()
        raise AssertionError(f"not enough on {topic}: {found}\n{self.log.read_text()[-6000:]}")

    def alerts(self, count: int) -> list[dict[str, Any]]:
        return self.read(self.topics.alerts, lambda found: len(found) >= count)

    def status(self, used_usd: int) -> dict[str, Any]:
        def told(found: list[dict[str, Any]]) -> bool:
            return any(status["used"] == used_usd * 10**9 for status in found)

        return next(status for status in self.read(self.topics.status, told) if status["used"] == used_usd * 10**9)


@pytest.fixture
def house(tansu_bootstrap: str, topic_prefix: str, tmp_path: Path) -> House:
    """On the embedded broker: `test_app_faults` has the same and worse on Apache Kafka."""
    return House(tansu_bootstrap, topic_prefix, tmp_path / "agents.log")


def test_an_alert_is_told_once_through_kill_and_restart(house: House) -> None:
    with house.agents() as process:
        house.spend("50", NOON)
        house.spend("40", NOON + MINUTE)
        first = house.alerts(1)
        assert [alert["level"] for alert in first] == ["warning"]
        assert house.status(90)["state"] == "warning"
        process.kill()
        process.wait(10)
    house.spend("15", NOON + 2 * MINUTE, input_partition=1)
    with house.agents() as process:
        house.spend("5", NOON + 3 * MINUTE)
        second = house.alerts(2)
        assert [alert["level"] for alert in second] == ["warning", "soft"]
        assert house.status(110)["state"] == "soft"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, house.log.read_text()[-6000:]
    with house.agents():
        house.spend("20", NOON + 4 * MINUTE)
        assert [alert["level"] for alert in house.alerts(3)] == ["warning", "soft", "hard"]

"""The Faust worker on Apache Kafka while things break: budgets exact, each alert told once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.streams.agents.test_app import MINUTE, NOON, House
from tests.support.kafka import ApacheKafka

pytestmark = pytest.mark.slow

DEADLINE_S = 150.0
ONCE = [("warning", "firing"), ("soft", "firing"), ("hard", "firing")]


def told(house: House, count: int) -> list[tuple[str, str]]:
    return [(alert["level"], alert["state"]) for alert in house.alerts(count)]


@pytest.mark.kafka
def test_killed_before_in_and_after_a_commit(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    house = House(kafka_bootstrap, topic_prefix, tmp_path / "agents.log")
    spent = 0
    # The first two commits of a first start are its shards' empty checkpoints.
    strikes = ("commit:before:3", "commit:in:3", "commit:after:3")
    for strike in strikes:
        with house.agents(strike) as process:
            deadline = time.monotonic() + DEADLINE_S
            while process.poll() is None:
                assert time.monotonic() < deadline, f"{strike}\n{house.log.read_text()[-6000:]}"
                house.spend("1", NOON + spent * MINUTE, input_partition=spent % 2)
                spent += 1
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.5)
        assert process.returncode == -signal.SIGKILL, house.log.read_text()[-6000:]
    with house.agents():
        house.spend(str(200 - spent), NOON + spent * MINUTE)
        assert house.status(200)["state"] == "hard"
        assert told(house, 3) == ONCE


@pytest.mark.kafka
def test_a_zombie_that_comes_back_writes_nothing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    house = House(kafka_bootstrap, topic_prefix, tmp_path / "agents.log")
    with house.agents() as zombie:
        house.spend("50", NOON)
        house.status(50)
        house.spend("35", NOON + MINUTE)
        zombie.send_signal(signal.SIGSTOP)
        with house.agents():
            # The session of three seconds ends, and the other one takes over.
            assert house.status(85)["state"] == "warning"
            zombie.send_signal(signal.SIGCONT)
            house.spend("20", NOON + 2 * MINUTE, input_partition=1)
            assert house.status(105)["state"] == "soft"
            house.spend("20", NOON + 3 * MINUTE)
            assert house.status(125)["state"] == "hard"
            assert told(house, 3) == ONCE


@pytest.mark.kafka
def test_kafka_killed_and_back_and_a_third_worker(own_kafka: ApacheKafka, tmp_path: Path) -> None:
    house = House(own_kafka.bootstrap, "t", tmp_path / "agents.log")
    with house.agents() as one, house.agents() as two:
        house.spend("50", NOON)
        house.status(50)
        house.spend("35", NOON + MINUTE)
        own_kafka.kill()
        own_kafka.start()
        house.spend("10", NOON + 2 * MINUTE, input_partition=1)
        assert house.status(95)["state"] == "warning"
        with house.agents() as three:
            for step in range(4):
                house.spend("5", NOON + (3 + step) * MINUTE, input_partition=step % 2)
            assert house.status(115)["state"] == "soft"
            # Whoever of the three has the budget's partition: the two that are left take over what this one held.
            one.kill()
            house.spend("10", NOON + 8 * MINUTE)
            assert house.status(125)["state"] == "hard"
            assert told(house, 3) == ONCE
            for process in (two, three):
                assert process.poll() is None, house.log.read_text()[-6000:]
            two.send_signal(signal.SIGTERM)
            assert two.wait(30) == 0, house.log.read_text()[-6000:]
            house.spend("5", NOON + 9 * MINUTE)
            house.status(130)
    # Unlimited, Faust's client says hundreds of lines a second while Kafka is away.
    assert sum(" aiokafka" in line for line in house.log.read_text().splitlines()) < 200

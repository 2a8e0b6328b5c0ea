"""The harness itself: what was acknowledged before a kill is there after the restart, on the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streamgauge.embedded.child import port_answers
from tests.conftest import without_kafka
from tests.support import kafka_jars
from tests.support.kafka import ApacheKafka
from tests.support.kafka_jars import KafkaUnavailableError

REPOSITORY = Path(__file__).resolve().parents[2]


def create_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=1)])[topic].result(30)


def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value=value, on_delivery=delivered)
    assert producer.flush(30) == 0
    assert refused == []


def read_all(bootstrap: str, topic: str) -> list[bytes | None]:
    settings = {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
    consumer = Consumer({**settings, "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values: list[bytes | None] = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                value = message.value()
                assert value is None or isinstance(value, bytes)
                values.append(value)
            # Not the watermark: the embedded broker's stands at the start of its last batch.
            elif error.code() == KafkaError._PARTITION_EOF:
                return values
            else:
                raise AssertionError(str(error))
        raise AssertionError(f"the end of {topic} was not reached within 30 s: {values}")
    finally:
        consumer.close()


def test_a_round_trip_on_either_broker(bootstrap: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}.round-trip"
    create_topic(bootstrap, topic)
    produce(bootstrap, topic, [b"one", b"two"])
    assert read_all(bootstrap, topic) == [b"one", b"two"]


@pytest.mark.kafka
@pytest.mark.slow
def test_data_outlives_a_kill_and_an_orderly_stop(own_kafka: ApacheKafka) -> None:
    address = own_kafka.bootstrap
    create_topic(address, "kept")
    produce(address, "kept", [b"before the kill"])

    own_kafka.kill()
    assert not own_kafka.alive
    own_kafka.start()
    assert own_kafka.bootstrap == address
    produce(address, "kept", [b"before the stop"])

    own_kafka.stop()
    assert not own_kafka.alive
    own_kafka.start()
    assert read_all(address, "kept") == [b"before the kill", b"before the stop"]


@pytest.mark.kafka
@pytest.mark.slow
def test_the_command_prints_its_address_and_its_broker_dies_with_it(tmp_path: Path) -> None:
    try:
        kafka_jars.kafka_jars()
    except KafkaUnavailableError as error:
        without_kafka(error)
    command = [sys.executable, "-m", "tests.support.kafka"]
    # What the killed command cannot clear away, its data, goes into the test's own folder.
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            host, _, port = process.stdout.readline().strip().partition(":")
            assert host == "127.0.0.1"
            assert port_answers(int(port))
        finally:
            # Killed, not asked: the kernel must take the JVM down, since nobody is left to do it.
            process.kill()
    deadline = time.monotonic() + 15
    while port_answers(int(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not port_answers(int(port))


@pytest.mark.parametrize(
    ("ci", "outcome"), [({}, pytest.skip.Exception), ({"CI": "true"}, pytest.fail.Exception)], ids=["here", "in CI"]
)
def test_a_machine_without_java_is_told_so(
    ci: Mapping[str, str], outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.conftest.IN_CI", bool(ci))
    with pytest.raises(KafkaUnavailableError, match=r"`java` .* STREAMGAUGE_TEST_BOOTSTRAP") as unavailable:
        kafka_jars.kafka_jars()
    with pytest.raises(outcome, match="no Apache Kafka to test against"):
        without_kafka(unavailable.value)


def test_a_broker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    try:
        kafka_jars.kafka_jars()
    except KafkaUnavailableError as error:
        without_kafka(error)
    kafka = ApacheKafka(tmp_path / "node", settings={"num.io.threads": "none"})
    with pytest.raises(RuntimeError, match=r"num\.io\.threads"):
        kafka.start()
    assert not kafka.alive


def test_ending_a_process_of_ours_is_what_kill_means(own_kafka: ApacheKafka) -> None:
    pid = own_kafka.pid
    os.kill(pid, 0)
    own_kafka.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)

"""Offsets that are out of range or gone: the role ends, prints the command, and loses nothing after it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.connection import KafkaConnection
from runtime.recovery import places_to_start, set_offset
from tests.support.enrich import avro_value, event, send
from tests.support.house import TestHouse, wait_for

pytestmark = pytest.mark.kafka


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[TestHouse]:
    with TestHouse(kafka_bootstrap, tmp_path, f"{topic_prefix}.", ("sink", "enrich"), partitions=(1, 1)) as running:
        yield running


def streamgauge(house: TestHouse, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamgauge", *arguments],
        env=house.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def send_numbers(house: TestHouse, first: int, count: int) -> None:
    values = [(0, b"e", avro_value(event(number))) for number in range(first, first + count)]
    send(house.connection, house.topics.events, values)


def expire(house: TestHouse, topic: str, before: int) -> None:
    admin = AdminClient(house.connection.librdkafka())
    for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result()


def dies_with_a_command(house: TestHouse, role: str) -> list[str]:
    """Start a role that must end by itself; the command that it prints."""
    process = house.roles[role]
    process.start(house.environment())
    wait_for(lambda: not process.alive, 90, f"{role} to stop")
    assert process.exit_code == 1
    sentence = process.log_path.read_text().splitlines()[-1]
    assert sentence.startswith("streamgauge: ")
    found = re.search(r"run: streamgauge (offsets set .+)$", sentence)
    assert found is not None, sentence
    return shlex.split(found[1])


def enriched(house: TestHouse) -> int:
    return int(house.query("SELECT count() FROM usage_events")[0][0])


def test_enrich_names_the_way_on_and_nothing_is_lost(house: TestHouse) -> None:
    house.start()
    send_numbers(house, 0, 10)
    wait_for(lambda: enriched(house) == 10, 60, "ten events")
    group = f"{house.topics.prefix}streamgauge.enrich"

    refused = streamgauge(house, "offsets", "set", "enrich", f"{house.topics.events}:0", "--to", "0")
    assert (refused.returncode, "stop them before its offsets are set" in refused.stderr) == (1, True)

    # The group's offsets are gone: what was enriched is known from the fingerprints.
    house.roles["enrich"].stop()
    send_numbers(house, 10, 5)
    admin = AdminClient(house.connection.librdkafka())
    admin.delete_consumer_groups([group])[group].result()
    command = dies_with_a_command(house, "enrich")
    assert command == shlex.split(set_offset("enrich", house.topics.events, 0, 10))[1:]
    done = streamgauge(house, *command)
    assert done.returncode == 0, done.stderr
    house.start("enrich")
    wait_for(lambda: enriched(house) == 15, 60, "what came meanwhile")

    # Events expired unread: the next that is left is enriched, and the hole is told, not passed over.
    house.roles["enrich"].stop()
    send_numbers(house, 15, 5)
    expire(house, house.topics.events, 18)
    shown = streamgauge(house, "offsets", "--json")
    assert shown.returncode == 1, shown.stderr
    [wrong] = [one for one in json.loads(shown.stdout) if one["state"] not in ("ok", "nothing committed")]
    assert (wrong["role"], wrong["state"], wrong["low"]) == ("enrich", "before the beginning", 18)
    command = dies_with_a_command(house, "enrich")
    assert streamgauge(house, *command).returncode == 0
    house.start("enrich")
    sink = house.roles["sink"]
    wait_for(lambda: not sink.alive, 60, "the sink to name the hole")
    assert "source offsets 15 to 17" in sink.log_path.read_text()


def test_the_sinks_records_name_the_way_on(house: TestHouse) -> None:
    house.start()
    send(house.connection, house.topics.outcomes, [(0, b"o", b"{}")] * 3)
    rejected = "SELECT count() FROM usage_rejected FINAL"
    wait_for(lambda: house.query(rejected)[0][0] == 3, 60, "three refused outcomes")
    house.roles["sink"].stop()
    send(house.connection, house.topics.outcomes, [(0, b"o", b"{}")] * 3)
    expire(house, house.topics.outcomes, 5)
    command = dies_with_a_command(house, "sink")
    assert command == shlex.split(set_offset("sink", house.topics.outcomes, 0, "earliest"))[1:]
    assert streamgauge(house, *command).returncode == 0
    house.start("sink")
    wait_for(lambda: house.query(rejected)[0][0] == 4, 60, "the one that is left")


def test_a_reader_begins_where_it_was_or_where_nothing_was_ever_read(kafka_bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(kafka_bootstrap)
    topic = f"{topic_prefix}.read"
    admin = AdminClient(connection.librdkafka())
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    consumer = Consumer(connection.consumer(f"{topic_prefix}.group"))
    consumer.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)
    places = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    assert [one.offset for one in places_to_start(consumer, places, "sink")] == [0, 7]
    consumer.close()

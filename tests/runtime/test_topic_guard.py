"""Topics that change under a running role."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions

from runtime.admin import PartitionMismatch, create_topics
from runtime.connection import KafkaConnection
from runtime.topic_guard import TopicGuard, TopicReplaced
from schemas.topics import Topics
from streamgauge.embedded.broker import pick_port

DEADLINE_S = 60


@pytest.fixture
def topics(topic_prefix: str) -> Topics:
    return Topics(topic_prefix, event_partitions=2, tally_partitions=1)


def found_by(guard: TopicGuard, kind: type[Exception]) -> str:
    """What the guard says in the end: it takes two looks, and a broker takes a moment."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            guard.check()
        except kind as found:
            return str(found)
        time.sleep(0.05)
    raise AssertionError("the guard sees nothing")


def test_topics_as_they_were_are_fine(bootstrap: str, topics: Topics) -> None:
    connection = KafkaConnection(bootstrap)
    create_topics(connection, topics, 1)
    guard = TopicGuard(connection, topics, "sink")
    for _ in range(3):
        guard.check()


@pytest.mark.kafka
def test_a_grown_topic_is_refused_with_the_migration(kafka_bootstrap: str, topics: Topics) -> None:
    connection = KafkaConnection(kafka_bootstrap)
    create_topics(connection, topics, 1)
    guard = TopicGuard(connection, topics, "enrich")
    guard.check()
    admin = AdminClient(connection.librdkafka())
    admin.create_partitions([NewPartitions(topics.events, 3)])[topics.events].result()
    text = found_by(guard, PartitionMismatch)
    assert "Bring them to one count: stop enrich, agents and sink, run `streamgauge topics --grow-events 3`" in text
    # The counts are one contract: so does a role that does not touch the topic.
    assert found_by(TopicGuard(connection, topics, "agents"), PartitionMismatch) == text


@pytest.mark.kafka
def test_a_topic_that_is_gone_or_made_again_is_noticed(kafka_bootstrap: str, topics: Topics) -> None:
    connection = KafkaConnection(kafka_bootstrap)
    create_topics(connection, topics, 1)
    guard = TopicGuard(connection, topics, "agents")
    guard.check()
    admin = AdminClient(connection.librdkafka())
    admin.delete_topics([topics.tallies])[topics.tallies].result()
    assert f"topics are gone: {topics.tallies}" in found_by(guard, TopicReplaced)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            create_topics(connection, topics, 1)
            break
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert f"made again while this role ran: {topics.tallies}" in found_by(guard, TopicReplaced)
    TopicGuard(connection, topics, "agents").check()


def test_kafka_away_is_no_finding(topics: Topics) -> None:
    guard = TopicGuard(KafkaConnection(f"127.0.0.1:{pick_port()}"), replace(topics, prefix=""), "enrich", timeout_s=0.5)
    with pytest.raises(KafkaException):
        guard.check()

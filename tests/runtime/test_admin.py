"""Topics on a real broker: made once, compared for ever, never silently changed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.admin import PartitionMismatch, create_topics, inspect_topics
from runtime.connection import KafkaConnection
from schemas.topics import SPECS, Topics


def make(bootstrap: str, name: str, partitions: int, config: dict[str, str] | None = None) -> AdminClient:
    """A topic that somebody else made, known to every client."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, 1, config=config or {})])[name].result()
    deadline = time.monotonic() + 20
    while name not in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline
    return admin


@pytest.fixture
def topics(topic_prefix: str) -> Topics:
    return Topics(f"{topic_prefix}.", event_partitions=3, tally_partitions=2)


def test_creating_twice_creates_once(bootstrap: str, topics: Topics) -> None:
    connection = KafkaConnection(bootstrap)
    assert {state.action for state in inspect_topics(connection, topics)} == {"missing"}
    first = create_topics(connection, topics, replication=1)
    assert {state.action for state in first} == {"created"}
    assert [state.name for state in first] == [topics.name(spec.name) for spec in SPECS]
    second = create_topics(connection, topics, replication=1)
    assert {state.action for state in second} == {"present"}
    assert {state.spec.name: state.partitions for state in second} == {
        spec.name: topics.partitions(spec) for spec in SPECS
    }
    assert not [state.drift for state in second if state.drift]


def test_what_is_missing_is_added_to_what_is_there(bootstrap: str, topics: Topics) -> None:
    make(bootstrap, topics.tallies, 2)
    actions = {state.name: state.action for state in create_topics(KafkaConnection(bootstrap), topics, 1)}
    assert actions.pop(topics.tallies) == "present"
    assert set(actions.values()) == {"created"}


def test_other_partition_counts_are_refused_with_the_migration(bootstrap: str, topics: Topics) -> None:
    connection = KafkaConnection(bootstrap)
    create_topics(connection, topics, replication=1)
    with pytest.raises(PartitionMismatch) as grown:
        create_topics(connection, replace(topics, event_partitions=6), replication=1)
    text = str(grown.value)
    assert "`streamgauge topics --grow-events 6`" in text
    assert "topics.event_partitions = 3" in text
    with pytest.raises(PartitionMismatch, match="cannot be changed in place"):
        inspect_topics(connection, replace(topics, tally_partitions=4))
    with pytest.raises(PartitionMismatch, match=r"Set topics\.event_partitions = 3 everywhere"):
        inspect_topics(connection, replace(topics, event_partitions=2))


def test_nothing_is_created_when_something_is_refused(bootstrap: str, topics: Topics) -> None:
    admin = make(bootstrap, topics.control, 2)
    with pytest.raises(PartitionMismatch, match="its order is its meaning"):
        create_topics(KafkaConnection(bootstrap), topics, 1)
    mine = [name for name in admin.list_topics(timeout=10).topics if name.startswith(topics.prefix)]
    assert mine == [topics.control]


@pytest.mark.kafka
def test_drift_is_told_with_the_command_that_mends_it(kafka_bootstrap: str, topics: Topics) -> None:
    make(kafka_bootstrap, topics.events, 3, {"retention.ms": "60000"})
    states = {state.name: state for state in create_topics(KafkaConnection(kafka_bootstrap), topics, 1)}
    drift = {one.setting: one for one in states[topics.events].drift}
    assert drift["retention.ms"].found == "60000"
    assert drift["message.timestamp.type"].wanted == "LogAppendTime"
    assert f"--entity-name {topics.events} --add-config retention.ms=" in drift["retention.ms"].command("k:1")
    assert not states[topics.tallies].drift

"""One contract for every store: what was committed stands, all of it or nothing, and only the newest owner commits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.health import Health
from schemas.topics import Topics
from streams.agents.kafka_store import KafkaStateStore
from streams.agents.memory_store import MemoryStateStore, MemoryTopics
from streams.agents.shard import Settlement
from streams.agents.state_records import StateRecord
from streams.agents.store import Fenced, StateStore

#: Makes one more owner of the same shard.
Owner = Callable[[], StateStore]


@pytest.fixture(params=["memory", "tansu", pytest.param("kafka", marks=pytest.mark.kafka)])
def owner(request: pytest.FixtureRequest, topic_prefix: str) -> Owner:
    if request.param == "memory":
        topics = MemoryTopics()
        return lambda: MemoryStateStore(topics)
    bootstrap: str = request.getfixturevalue(f"{request.param}_bootstrap")
    connection = KafkaConnection(bootstrap, fetch_wait_ms=50)
    names = Topics(topic_prefix, event_partitions=1, tally_partitions=2)
    create_topics(connection, names)
    stopping = threading.Event()
    return lambda: KafkaStateStore(1, connection, names, Health(), stopping)


def state(*records: StateRecord) -> Settlement:
    return Settlement((), (("b|2026", b"{}"),), records)


def test_what_was_committed_is_read_by_the_next_owner(owner: Owner) -> None:
    first = owner()
    assert first.open() == {}
    first.commit(state(("0/0", b"a"), ("0/meta", b"m")))
    first.commit(state(("0/0", None), ("0/meta", None), ("1/meta", b"n")))
    first.close()
    assert dict(owner().open()) == {"1/meta": b"n"}


def test_only_the_newest_owner_commits(owner: Owner) -> None:
    old, new = owner(), owner()
    old.open()
    old.commit(state(("0/meta", b"old")))
    assert dict(new.open()) == {"0/meta": b"old"}
    with pytest.raises(Fenced):
        old.commit(state(("1/meta", b"zombie")))
    new.commit(state(("1/meta", b"new")))
    assert owner().open()["1/meta"] == b"new"


@pytest.mark.kafka
def test_a_settlement_stands_on_every_topic_or_on_none(kafka_bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(kafka_bootstrap)
    names = Topics(topic_prefix, event_partitions=1, tally_partitions=2)
    create_topics(connection, names)
    old, new = (KafkaStateStore(0, connection, names, Health(), threading.Event()) for _ in range(2))
    old.open()
    new.open()

    def told(value: bytes) -> Settlement:
        return Settlement((), (("b|2026", value),), (("0/meta", value),), (("person|2026", value),))

    with pytest.raises(Fenced, match="belongs to another process"):
        old.commit(told(b"zombie"))
    new.commit(told(b"new"))
    assert committed(connection, names.status) == [("b|2026", b"new")]
    assert committed(connection, names.status_users) == [("person|2026", b"new")], "of persons, on a topic of their own"
    assert new.read() == {"0/meta": b"new"}
    # Retired together as well.
    new.commit(Settlement((), (("b|2026", None),), (), (("person|2026", None),)))
    assert committed(connection, names.status)[-1] == ("b|2026", None)
    assert committed(connection, names.status_users)[-1] == ("person|2026", None)


def committed(connection: KafkaConnection, topic: str) -> list[tuple[str, bytes | None]]:
    """Keys and values of its only partition, without those of transactions that never ended well."""
    consumer = Consumer(connection.consumer("test", isolation_level="read_committed", enable_partition_eof=True))
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[str, bytes | None]] = []
    try:
        while True:
            message = consumer.poll(10.0)
            assert message is not None, f"{topic} was not read to its end in 10 s"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF
                return found
            found.append(((message.key() or b"").decode(), message.value()))
    finally:
        consumer.close()

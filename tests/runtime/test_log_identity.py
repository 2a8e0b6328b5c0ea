"""The identity of a topic's log: stable, another one when the topic is made again, an error when nobody can tell."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.admin import list_partitions
from runtime.connection import KafkaConnection
from runtime.log_identity import log_identity
from streamgauge.embedded.broker import pick_port


def create(admin: AdminClient, topic: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
        except KafkaException:
            # A topic under deletion cannot be made yet.
            assert time.monotonic() < deadline
        else:
            break
    # The broker has agreed; that it tells others of it may take a moment more.
    while topic not in list_partitions(admin):
        assert time.monotonic() < deadline


def test_one_identity_for_one_life_of_a_topic(bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(bootstrap)
    admin = AdminClient(connection.librdkafka())
    topic, other = f"{topic_prefix}.a", f"{topic_prefix}.b"
    create(admin, topic)
    create(admin, other)
    first = log_identity(connection, topic)
    assert first == log_identity(connection, topic)
    assert first.startswith(f"{admin.list_topics(timeout=10).cluster_id}/")
    assert log_identity(connection, other) != first
    admin.delete_topics([topic])[topic].result()
    create(admin, topic)
    assert log_identity(connection, topic) != first


def test_a_topic_that_is_not_there_is_an_error_and_stays_away(bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(bootstrap)
    with pytest.raises(LookupError, match="does not exist"):
        log_identity(connection, f"{topic_prefix}.missing")
    assert f"{topic_prefix}.missing" not in list_partitions(AdminClient(connection.librdkafka()))


def test_no_broker_is_an_error() -> None:
    with pytest.raises(KafkaException):
        log_identity(KafkaConnection(f"127.0.0.1:{pick_port()}"), "usage.events", timeout_s=1.0)

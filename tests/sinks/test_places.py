"""Offsets that are gone: retention passed them, the topic was made anew. Nothing resets in silence, and each stop names
the way out, which then works.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import create_topics
from runtime.recovery import OffsetsLost
from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.errors import SinkError
from tests.sinks.running import SinkHouse, wait_until
from tests.support.blocks import BlockMessage, enriched_table, range_messages

pytestmark = pytest.mark.kafka

CHAIN = "SELECT first, next FROM usage_ledger FINAL ORDER BY first"


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget) -> SinkHouse:
    """Ten ranges [0, 10), [10, 20), … are in ClickHouse, as ten messages."""
    house = SinkHouse(kafka_bootstrap, topic_prefix, http_target, partitions=1)
    put(house, 0, 100)
    with house.running() as sink:
        house.wait_for("SELECT max(next) FROM usage_ledger", [(100,)], sink)
    return house


def put(house: SinkHouse, first: int, after: int) -> None:
    for at in range(first, after, 10):
        messages = range_messages(enriched_table(10, first=at), SourceRange(0, at, at + 10))
        house.put(house.topics.enriched, 0, messages)


def remove(house: SinkHouse, topic: str, before: int) -> None:
    """As retention does."""
    admin = AdminClient(house.connection.librdkafka())
    for future in admin.delete_records([TopicPartition(topic, 0, before)]).values():
        future.result(30)


def make_anew(house: SinkHouse) -> None:
    admin = AdminClient(house.connection.librdkafka())
    topic = house.topics.enriched
    admin.delete_topics([topic])[topic].result(30)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, lambda: f"{topic} is still there")
    create_topics(house.connection, house.topics)


def test_retention_passed_what_was_not_read(house: SinkHouse) -> None:
    put(house, 100, 150)
    remove(house, house.topics.enriched, 13)
    with pytest.raises(SinkError, match=r"source offsets 100 to 129 .*ACCEPT_GAPS=true"), house.running() as sink:
        sink.await_error()
    assert house.query("SELECT max(next) FROM usage_ledger") == [(100,)]
    house.config = replace(house.config, accept_gaps=True)
    with house.running() as sink:
        house.wait_for("SELECT min(next), max(next) FROM usage_ledger WHERE next > 100", [(140, 150)], sink)


def test_retention_took_everything_that_was_not_read(house: SinkHouse) -> None:
    put(house, 100, 120)
    remove(house, house.topics.enriched, 12)
    with (
        pytest.raises(SinkError, match=r"offsets 10 to 11 were removed.*source offsets from 100 on.*ACCEPT_GAPS"),
        house.running() as sink,
    ):
        sink.await_error()
    house.config = replace(house.config, accept_gaps=True)
    with house.running() as sink:
        put(house, 120, 130)
        house.wait_for("SELECT max(next) FROM usage_ledger", [(130,)], sink)


def test_a_topic_made_anew_that_ends_before_the_ledger_s_place(house: SinkHouse) -> None:
    make_anew(house)
    put(house, 90, 120)
    with pytest.raises(SinkError, match=r"ends at offset 3, .* goes on at 10.*REREAD=true"), house.running() as sink:
        sink.await_error()
    house.config = replace(house.config, reread=True)
    with house.running() as sink:
        house.wait_for(CHAIN, [(first, first + 10) for first in range(0, 120, 10)], sink)
        assert house.query("SELECT count() FROM usage_events_raw") == [(120,)]


def test_a_topic_made_anew_that_goes_on_behind_the_ledger_s_place(house: SinkHouse) -> None:
    """Its offsets lead nowhere, yet what is missing stands before the place: it is found without being told."""
    make_anew(house)
    put(house, 100, 300)
    with house.running() as sink:
        house.wait_for(CHAIN, [(first, first + 10) for first in range(0, 300, 10)], sink)
    make_anew(house)
    put(house, 310, 1_000)
    with pytest.raises(SinkError, match=r"source offsets 300 to 309 .*ACCEPT_GAPS=true"), house.running() as sink:
        sink.await_error()


def test_records_that_expired_unread_stop_the_sink(house: SinkHouse) -> None:
    topic = house.topics.alerts
    house.put(topic, 0, [BlockMessage(json.dumps({"not": "an alert"}).encode(), [])] * 3)
    with house.running() as sink:
        wait_until(
            lambda: sink.metric("streamgauge_sink_unreadable_total", topic=topic) == 3, lambda: "the records came not"
        )
        wait_until(lambda: sink.health.liveness().idle, lambda: sink.health.liveness().reason)
    house.put(topic, 0, [BlockMessage(b"{}", [])] * 4)
    remove(house, topic, 5)
    with (
        pytest.raises(OffsetsLost, match=r"begins at 5, the group goes on at 3.*streamgauge offsets set sink"),
        house.running() as sink,
    ):
        sink.await_error()

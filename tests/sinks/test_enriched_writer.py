"""usage.enriched to ClickHouse, on both brokers: each source range once, whatever is repeated, cut short or missing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition

from runtime.clock import SystemClock
from runtime.log_identity import log_identity
from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import SinkError
from sinks.events.intents import Intent
from sinks.events.ledger import chain_end
from sinks.run import prepare
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.sinks.running import SinkHouse, wait_until
from tests.support.blocks import BlockMessage, enriched_table, range_messages

EVENTS = "SELECT src_partition, src_offset FROM usage_events_raw ORDER BY src_partition, src_offset"
LEDGER = "SELECT partition, first, next FROM usage_ledger ORDER BY partition, first"


@pytest.fixture
def house(bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget) -> SinkHouse:
    return SinkHouse(bootstrap, topic_prefix, http_target)


def messages(partition: int, first: int, after: int, parts: int = 1) -> list[BlockMessage]:
    table = enriched_table(after - first, partition=partition, first=first)
    return range_messages(table, SourceRange(partition, first, after), parts)


def offsets(partition: int, count: int, first: int = 0) -> list[tuple[int, int]]:
    return [(partition, offset) for offset in range(first, first + count)]


def test_ranges_arrive_once_and_a_restart_goes_on(house: SinkHouse) -> None:
    house.put(house.topics.enriched, 0, [*messages(0, 0, 10), *messages(0, 10, 30, parts=3)])
    house.put(house.topics.enriched, 1, [*range_messages(None, SourceRange(1, 0, 5)), *messages(1, 5, 8)])
    with house.running() as sink:
        house.wait_for(LEDGER, [(0, 0, 10), (0, 10, 30), (1, 0, 5), (1, 5, 8)], sink)
        assert house.query(EVENTS) == offsets(0, 30) + offsets(1, 3, first=5)
        assert sink.metric("streamgauge_sink_rows_total", table="usage_events_raw") == 33
    house.put(house.topics.enriched, 0, messages(0, 30, 31))
    with house.running() as sink:
        house.wait_for("SELECT count() FROM usage_events_raw", [(34,)], sink)
        assert sink.metric("streamgauge_sink_rows_total", table="usage_events_raw") == 1
        wait_until(lambda: sink.health.liveness().idle, lambda: sink.health.liveness().reason)


def test_repeats_and_partial_copies_are_recognised(house: SinkHouse) -> None:
    whole = messages(0, 10, 40, parts=3)
    house.put(
        house.topics.enriched,
        0,
        [*messages(0, 0, 10), *messages(0, 0, 10), whole[0], whole[1], *whole, *whole, *messages(0, 40, 41)],
    )
    with house.running() as sink:
        house.wait_for(LEDGER, [(0, 0, 10), (0, 10, 40), (0, 40, 41)], sink)
        assert house.query(EVENTS) == offsets(0, 41)
        assert sink.metric("streamgauge_sink_skipped_blocks_total") == 2
    # Whoever watches the group sees that everything was met, repeats at the end as well.
    house.put(house.topics.enriched, 0, whole)
    group = f"{house.topics.prefix}{house.config.group}"
    consumer = Consumer(house.connection.librdkafka(group_id=group))
    place = TopicPartition(house.topics.enriched, 0)
    with house.running():
        wait_until(lambda: consumer.committed([place], timeout=10)[0].offset == 14, lambda: "the end is not told")
    consumer.close()


def test_a_lost_place_is_read_again_and_inserts_nothing_twice(house: SinkHouse) -> None:
    """Kafka's offsets decide nothing: here they are set behind the end, and the ledger rules."""
    house.put(house.topics.enriched, 0, messages(0, 0, 10))
    with house.running() as sink:
        house.wait_for("SELECT count() FROM usage_ledger", [(1,)], sink)
    house.put(house.topics.enriched, 0, [*messages(0, 10, 20), *messages(0, 20, 30)])
    consumer = Consumer(house.connection.librdkafka(group_id=f"{house.topics.prefix}{house.config.group}"))
    consumer.commit(offsets=[TopicPartition(house.topics.enriched, 0, 3)], asynchronous=False)
    consumer.close()
    with house.running() as sink:
        house.wait_for(LEDGER, [(0, 0, 10), (0, 10, 20), (0, 20, 30)], sink)
        assert house.query(EVENTS) == offsets(0, 30)


def test_a_hole_that_the_topic_does_not_hold_stops_with_the_way_out(house: SinkHouse) -> None:
    house.put(house.topics.enriched, 0, [*messages(0, 0, 10), *messages(0, 15, 20)])
    with (
        pytest.raises(SinkError, match=r"source offsets 10 to 14 are not in ClickHouse.*ACCEPT_GAPS"),
        house.running() as sink,
    ):
        house.wait_for("SELECT count() FROM usage_ledger", [(2,)], sink)
    assert house.query(EVENTS) == offsets(0, 10), "nothing behind the hole"
    house.config = replace(house.config, accept_gaps=True)
    with house.running() as sink:
        house.wait_for(LEDGER, [(0, 0, 10), (0, 15, 20)], sink)
    house.put(house.topics.enriched, 0, messages(0, 20, 21))
    with house.running() as sink:
        house.wait_for("SELECT max(next) FROM usage_ledger", [(21,)], sink)
        assert house.query("SELECT count() FROM usage_events_raw") == [(16,)]


def test_an_intent_is_repeated_exactly(house: SinkHouse) -> None:
    """As after a crash between the insert of the events and that of the ledger rows."""
    placed = house.put(house.topics.enriched, 0, [*messages(0, 0, 10), *messages(0, 10, 20), *messages(0, 20, 30)])
    log = log_identity(house.connection, house.topics.events)
    intent = Intent(0, 20, placed[0], placed[1] + 1)
    prepare(house.config, house.target, SystemClock(), threading.Event())
    with Database.open(house.target) as database:
        rows = enriched_table(20).append_column("log", pa.array([log] * 20))
        database.insert("usage_events_raw", rows, f"{log}:0:0-20")
    consumer = Consumer(house.connection.librdkafka(group_id=f"{house.topics.prefix}{house.config.group}"))
    place = TopicPartition(house.topics.enriched, 0, intent.start, metadata=intent.metadata())
    consumer.commit(offsets=[place], asynchronous=False)
    kept = consumer.committed([TopicPartition(house.topics.enriched, 0)], timeout=10)[0].metadata
    consumer.close()
    with house.running() as sink:
        house.wait_for(LEDGER, [(0, 0, 10), (0, 10, 20), (0, 20, 30)], sink)
    assert house.query("SELECT count() FROM usage_events") == [(30,)]
    if kept:
        assert house.query(EVENTS) == offsets(0, 30), "the token of the intent's exact range"


def test_a_foreign_message_stops_the_sink_by_name(house: SinkHouse) -> None:
    house.put(house.topics.enriched, 0, [BlockMessage(b"hello", [])])
    with (
        pytest.raises(SinkError, match=r"partition 0, offset 0: .*not written by streamgauge enrich"),
        house.running() as sink,
    ):
        house.wait_for("SELECT count() FROM usage_ledger", [(1,)], sink)


def test_two_sinks_share_the_partitions(house: SinkHouse) -> None:
    with house.running() as first, house.running() as second:
        for start in range(0, 100, 10):
            for partition in (0, 1):
                house.put(house.topics.enriched, partition, messages(partition, start, start + 10))
        house.wait_for("SELECT count() FROM usage_events", [(200,)], first)
        second.check()
    assert house.query("SELECT count() FROM usage_ledger FINAL") == [(20,)]
    log = log_identity(house.connection, house.topics.events)
    with Database.open(house.target) as database:
        ends = [chain_end(database, log, partition) for partition in (0, 1)]
    assert [end.applied for end in ends if end] == [100, 100]


def test_an_outage_of_clickhouse_is_waited_out(bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Nothing is refused, lost or doubled; the role says why it waits, and stops when told to."""
    with EmbeddedClickHouse(tmp_path, pick_port(), "secret") as clickhouse:
        target = ClickHouseTarget(clickhouse.host, clickhouse.port, "writer", "secret")
        house = SinkHouse(bootstrap, topic_prefix, target)
        house.put(house.topics.enriched, 0, messages(0, 0, 10))
        with house.running() as sink:
            house.wait_for("SELECT count() FROM usage_events_raw", [(10,)], sink)
            clickhouse.stop()
            house.put(house.topics.enriched, 0, messages(0, 10, 20))
            house.put(house.topics.enriched, 1, messages(1, 0, 5))
            wait_until(
                lambda: "ClickHouse does not take source range" in sink.health.readiness().reason,
                lambda: sink.health.readiness().reason,
            )
            sink.check()
            clickhouse.start()
            house.wait_for(EVENTS, offsets(0, 20) + offsets(1, 5), sink)
            clickhouse.stop()
            house.put(house.topics.enriched, 0, messages(0, 20, 30))
            wait_until(lambda: not sink.health.readiness().ok, lambda: "the second outage went unseen")
        clickhouse.start()
        with house.running() as sink:
            house.wait_for("SELECT count() FROM usage_events_raw", [(35,)], sink)

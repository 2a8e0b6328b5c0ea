"""The whole role: two that start at once migrate once, a ClickHouse that is away or hangs at start is waited for, and a
failure of one writer ends the other without loss.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.clock import SystemClock
from runtime.health import Health
from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.errors import SinkError
from sinks.migrate import known_migrations, pending
from sinks.run import prepare
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.sinks.running import CONFIG, SinkHouse, wait_until
from tests.support.blocks import BlockMessage, enriched_table, range_messages
from tests.support.faulty_door import Fault, FaultyDoor


@pytest.fixture
def door(clickhouse: EmbeddedClickHouse) -> Iterator[FaultyDoor]:
    with FaultyDoor(clickhouse.port) as opened:
        yield opened


def test_sinks_that_start_at_once_migrate_without_harm(http_target: ClickHouseTarget) -> None:
    halt = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        starts = [pool.submit(prepare, CONFIG, http_target, SystemClock(), halt) for _ in range(3)]
        for start in starts:
            start.result(60)
    with Database.open(http_target) as database:
        assert pending(database) == []
        recorded = database.query("SELECT count() FROM schema_migrations FINAL")
    assert recorded == [(len(known_migrations()),)]


def test_a_clickhouse_that_is_away_at_start_is_waited_for(http_target: ClickHouseTarget, door: FaultyDoor) -> None:
    health, halt = Health(), threading.Event()
    target = replace(http_target, port=door.port)
    door.refuse()
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(prepare, CONFIG, target, SystemClock(), halt, health)
        wait_until(lambda: "does not take the schema" in health.readiness().reason, lambda: health.readiness().reason)
        door.fault(Fault("code", "CREATE TABLE", code=202, times=2, name="TOO_MANY_SIMULTANEOUS_QUERIES"))
        start.result(60)
    assert door.met == 2


def test_a_clickhouse_that_hangs_at_start_keeps_nobody_from_stopping(
    http_target: ClickHouseTarget, door: FaultyDoor
) -> None:
    halt = threading.Event()
    door.fault(Fault("hang"))
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(prepare, CONFIG, replace(http_target, port=door.port), SystemClock(), halt)
        door.await_met()
        halt.set()
        start.result(30)


@pytest.mark.kafka
def test_a_failure_of_one_writer_loses_nothing_of_the_other(
    kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget
) -> None:
    """A foreign message stops the role; the records beside it are there when it is started without it."""
    house = SinkHouse(kafka_bootstrap, topic_prefix, http_target, partitions=1)
    topics = house.topics
    refused = {"code": "empty", "message": "m", "topic": topics.events, "partition": 0, "appended_at_us": 0}
    refused |= {"raw": "", "raw_sha256": "", "raw_bytes": 0, "raw_truncated": False}
    house.put(topics.enriched, 0, range_messages(enriched_table(5), SourceRange(0, 0, 5)))
    with house.running() as sink:
        house.wait_for("SELECT max(next) FROM usage_ledger", [(5,)], sink)
    house.put(topics.enriched, 0, [BlockMessage(b"foreign", [])])
    house.put(topics.rejected, 0, [BlockMessage(json.dumps({**refused, "offset": n}).encode(), []) for n in range(20)])
    with pytest.raises(SinkError, match="Nothing but `streamgauge enrich` may write there"), house.running() as sink:
        sink.await_error()
    admin = AdminClient(house.connection.librdkafka())
    for future in admin.delete_records([TopicPartition(topics.enriched, 0, 2)]).values():
        future.result(30)
    house.put(topics.enriched, 0, range_messages(enriched_table(5, first=5), SourceRange(0, 5, 10)))
    with house.running() as sink:
        house.wait_for("SELECT max(next) FROM usage_ledger", [(10,)], sink)
        house.wait_for("SELECT count() FROM usage_rejected FINAL", [(20,)], sink)

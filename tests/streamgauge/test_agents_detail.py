"""Questions behind alerts are answered by ClickHouse once it has what the agents have counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from runtime.admin import create_topics
from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from runtime.log_identity import log_identity
from schemas.topics import Topics
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import has_access_control, migrate
from streamgauge.agents_asking import Asking
from streamgauge.agents_detail import AgentsDetail
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streams.agents.history import NotYet
from streams.agents.investigation.detail import Carried, SpikeQuestion
from tests.support.blocks import NOON_US, enriched_table

MINUTE = 60_000_000
NOW = (NOON_US, NOON_US + 5 * MINUTE)
BEFORE = (NOON_US - 5 * MINUTE, NOON_US)


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path) as running:
        yield running


def test_a_spike_is_looked_into_as_soon_as_the_sink_has_its_calls(
    tansu_bootstrap: str, topic_prefix: str, clickhouse: EmbeddedClickHouse
) -> None:
    connection, topics = KafkaConnection(tansu_bootstrap), Topics(topic_prefix, 2, 2)
    create_topics(connection, topics, replication=1)
    log = log_identity(connection, topics.events)
    target = ClickHouseTarget(clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, database="spike")
    detail = AgentsDetail(Asking(target, connection, topics, FixedClock(NOON_US)))
    question = SpikeQuestion(0, "spike-1", "payments", None, NOW, (BEFORE,), 40, {0: 12, 1: 0})
    with pytest.raises(NotYet, match="ClickHouse has no tables yet"):
        detail.spike(question)
    with Database.open(target, create=True) as database:
        migrate(database, FixedClock(NOON_US), has_access_control=has_access_control(database))

        def put(first: int, count: int, at_us: int, use_case: str) -> None:
            table = enriched_table(count, first=first, occurred_at=at_us, use_case=use_case, cost_nanousd=10)
            database.insert("usage_events_raw", table.append_column("log", pa.array([log] * count)))
            database.command(
                "INSERT INTO usage_ledger (log, partition, first, next, enriched, appended_at) VALUES ({log:String}, "
                "0, {first:Int64}, {next:Int64}, {rows:Int64}, fromUnixTimestamp64Micro({at:Int64}, 'UTC'))",
                {"log": log, "first": first, "next": first + count, "rows": count, "at": NOON_US},
            )

        put(0, 4, BEFORE[0], "answers")
        with pytest.raises(NotYet, match="partition 0 to offset 4 of 12"):
            detail.spike(question)
        put(4, 8, NOW[0], "triage")
        found = detail.spike(question)
    detail.close()
    assert (found.now.calls, found.now.cost) == (8, 80)
    assert found.before is not None
    assert found.before.cost == 40
    assert [one for one in found.carried if one.dimension == "use_case"] == [
        Carried("use_case", "triage", 80, 0),
        Carried("use_case", "answers", 0, 40),
    ]
    assert (found.concentrations, found.key) == ((), None)

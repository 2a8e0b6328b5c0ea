"""An answer for the agents is given only when it is exact; else they hear in words what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from streamgauge.agents_history import AgentsHistory
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streams.agents.history import BaseQuestion, NotYet, Wanted
from tests.support.blocks import NOON_US, enriched_table

WANTED = Wanted(
    "b",
    "rule",
    {"team_id": ("payments",)},
    NOON_US // 60_000_000 - 60,
    since=3,
    needed_minute=NOON_US // 60_000_000 - 60,
)


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path) as running:
        yield running


def refusal(ask: Callable[[], object]) -> NotYet:
    with pytest.raises(NotYet) as caught:
        ask()
    return caught.value


def test_what_stands_in_the_way_is_said_one_by_one(
    tansu_bootstrap: str, topic_prefix: str, clickhouse: EmbeddedClickHouse
) -> None:
    connection, topics = KafkaConnection(tansu_bootstrap), Topics(topic_prefix, 2, 2)
    create_topics(connection, topics, replication=1)
    log = log_identity(connection, topics.events)
    target = ClickHouseTarget(clickhouse.host, clickhouse.port, "writer", clickhouse.writer_password, database="base")
    history = AgentsHistory(Asking(target, connection, topics, FixedClock(NOON_US)))

    def ask(before: int = 5) -> list[pa.Table]:
        return history.bases(BaseQuestion(0, (WANTED,), {0: before, 1: 0}, 0))

    assert str(refusal(ask)) == "ClickHouse has no tables yet: start `streamgauge sink`"
    with Database.open(target, create=True) as database:
        migrate(database, FixedClock(NOON_US), has_access_control=has_access_control(database))

        def ledger(first: int, after: int, control: int, refused: int = 0) -> None:
            database.command(
                "INSERT INTO usage_ledger (log, partition, first, next, enriched, control, refused, appended_at) "
                "VALUES ({log:String}, 0, {first:Int64}, {next:Int64}, {rows:Int64}, {control:Int64}, {refused:Int64}, "
                "fromUnixTimestamp64Micro({at:Int64}, 'UTC'))",
                {
                    "log": log,
                    "first": first,
                    "next": after,
                    "rows": after - first,
                    "control": control,
                    "refused": refused,
                    "at": NOON_US,
                },
            )

        assert str(refusal(ask)) == "ClickHouse has partition 0 to offset 0 of 5; waiting for the sink"
        table = enriched_table(5, cost_nanousd=2)
        database.insert("usage_events_raw", table.append_column("log", pa.array([log] * 5)))
        ledger(0, 2, 1)
        assert "to offset 2 of 5" in str(refusal(ask))
        ledger(2, 5, 4)
        (answer,) = ask()
        assert (answer["calls"].to_pylist(), answer["cost_nanousd"].to_pylist()) == ([5], [10])
        # Two more calls were read with the budget, but their rows stand already: they were sent before.
        ledger(5, 7, 4)
        found = refusal(lambda: ask(7))
        assert str(found) == (
            "resends are not corrected yet (2 of partition 0, offsets 5 to 7): run `streamgauge reconcile --correct`"
        )
        assert found.renew
        ledger(7, 8, 1, refused=1)
        assert "refused 1 events of this time" in str(refusal(lambda: ask(8)))
        ledger(9, 12, 1)
        assert "to offset 8 of 12" in str(refusal(lambda: ask(12)))
        # What was dropped for its age is in no sum, and no ledger tells of it.
        database.command("ALTER TABLE usage_events_raw MODIFY TTL toDateTime(ingested_at) + toIntervalDay(2)")
        assert str(refusal(ask)).startswith("ClickHouse keeps events or its ledger since ")
    clickhouse.stop()
    assert str(refusal(ask)).startswith("ClickHouse does not answer (")
    history.close()

"""`usage.state` lost on Apache Kafka, with half of the tallies gone as well: rebuilt, and nobody notices."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import create_topics, list_partitions
from runtime.clock import FixedClock
from runtime.group_admin import GroupInUse
from runtime.log_identity import log_identity
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import has_access_control, migrate
from sinks.recovery.usage_history import ClickHouseHistory
from streamgauge.rebuilding import rebuild_partitions
from streams.agents.config import AgentsConfig
from tests.streams.agents.test_app import MINUTE, NOON, House
from tests.support.blocks import enriched_table

DEADLINE_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(ClickHouseTarget(chdb_path=tmp_path / "chdb"), create=True) as opened:
        migrate(opened, FixedClock(NOON), has_access_control=has_access_control(opened))
        yield opened


class Recorded(House):
    """A house that also keeps in ClickHouse what it spends, as the sink would."""

    def __init__(self, bootstrap: str, prefix: str, log: Path, database: Database) -> None:
        super().__init__(bootstrap, prefix, log)
        self.database = database
        self.identity = log_identity(self.connection, self.topics.events)

    def spend(self, usd: str, at_us: int, input_partition: int = 0) -> None:
        first = self._position[input_partition]
        super().spend(usd, at_us, input_partition)
        cost = int(usd) * 10**9
        table = enriched_table(
            1, partition=input_partition, first=first, team_id="search", occurred_at=at_us, cost_nanousd=cost
        )
        self.database.insert("usage_events_raw", table.append_column("log", pa.array([self.identity])))
        self.database.command(
            "INSERT INTO usage_ledger (log, partition, first, next, read, enriched) VALUES "
            "({log:String}, {partition:Int32}, {first:Int64}, {next:Int64}, 10, 1)",
            {"log": self.identity, "partition": input_partition, "first": first, "next": first + 10},
        )

    def lose_state(self) -> None:
        """The topic is deleted and made anew."""
        admin = AdminClient(self.connection.librdkafka())
        admin.delete_topics([self.topics.state])[self.topics.state].result()
        deadline = time.monotonic() + DEADLINE_S
        while self.topics.state in list_partitions(admin):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        create_topics(self.connection, self.topics)

    def forget_tallies(self, until: int) -> None:
        admin = AdminClient(self.connection.librdkafka())
        wanted = [TopicPartition(self.topics.tallies, partition, until) for partition in range(2)]
        for done in admin.delete_records(wanted).values():
            done.result()

    def rebuild(self) -> list[dict[str, Any]]:
        config = AgentsConfig(group=f"{self.topics.prefix}streamgauge.agents")
        history = ClickHouseHistory(lambda: self.database, self.identity)
        reports = rebuild_partitions(config, self.connection, self.topics, history)
        return [report.as_json() for report in reports]


@pytest.mark.kafka
def test_lost_state_is_refused_then_rebuilt_and_nothing_is_told_twice(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, database: Database
) -> None:
    house = Recorded(kafka_bootstrap, topic_prefix, tmp_path / "agents.log", database)
    with house.agents() as process:
        for step, usd in enumerate(("50", "20", "12")):
            house.spend(usd, NOON + step * MINUTE, input_partition=step % 2)
        assert house.status(82)["state"] == "warning"
        with pytest.raises(GroupInUse, match="has 1 member"):
            house.rebuild()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, house.log.read_text()[-6000:]
    house.lose_state()
    with house.agents() as process:
        assert process.wait(DEADLINE_S) != 0
        assert "streamgauge rebuild" in house.log.read_text()
    # Two ranges were folded from the log before, one of them is gone now; 5 more dollars nobody has judged yet.
    house.spend("5", NOON + 3 * MINUTE)
    house.forget_tallies(3)
    reports = house.rebuild()
    assert [report["why"] for report in reports] == ["usage.state holds no checkpoint"] * 2
    assert all(report["history_before"] for report in reports)
    assert house.rebuild() == [], "what is whole is left alone"
    assert house.status(87)["state"] == "warning"
    with house.agents() as process:
        house.spend("15", NOON + 4 * MINUTE, input_partition=1)
        assert house.status(102)["state"] == "soft"
        house.spend("20", NOON + 5 * MINUTE)
        assert house.status(122)["state"] == "hard"
        told = [(alert["level"], alert["state"]) for alert in house.alerts(3)]
        assert told == [("warning", "firing"), ("soft", "firing"), ("hard", "firing")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, house.log.read_text()[-6000:]

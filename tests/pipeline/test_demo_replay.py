"""The demo's month, told to the agents again: other batchings, deaths and restores give the same spikes with the same
explanations.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock
from runtime.metrics import AgentMetrics
from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.records import ControlRecord, dump_record, record_key
from sources.fleet import Fleet, house_files
from streamgauge.apply import load_files
from streams.agents.config import AgentsConfig
from streams.agents.keeper import ShardKeeper
from streams.agents.memory_store import MemoryStateStore, MemoryTallyLog, MemoryTopics
from streams.agents.shard import Counts
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import wire
from tests.streams.agents.test_app import House
from tests.support.enrich import KEY, snapshot_of
from tests.support.fleet_tallies import fleet_tallies, together

END: Final = datetime(2026, 11, 21, 18, 7, tzinfo=UTC)
DEADLINE_S: Final = 120.0

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(1, END, days=26)


@pytest.fixture(scope="module")
def records(fleet: Fleet) -> list[ControlRecord]:
    return [*load_files(house_files(), KEY).records.values(), *fleet.activities]


class Agents:
    """One shard's topics and processes on it, which may die."""

    def __init__(self, records: Iterable[ControlRecord], tallies: Sequence[TallyMessage], partitions: int = 1) -> None:
        self.topics, self.tallies = MemoryTopics(), tallies
        self.control, self.partitions = snapshot_of(*records), partitions

    def read(self, *, every: int, deaths: Iterable[int] = ()) -> list[Alert]:
        """Settle after each `every` messages; before the messages `deaths` everything uncommitted is lost."""
        dies, keeper = set(deaths), self._keeper()
        for place, message in enumerate(self.tallies):
            if place in dies:
                self.topics.tallies = list(self.tallies[:place])
                keeper = self._keeper()
            if not keeper.offer(message):
                keeper.fill(message)
            if place % every == every - 1:
                self._settle(keeper)
        self._settle(keeper)
        return [alert for alert in self.topics.alerts if alert.kind == "spike"]

    def _settle(self, keeper: ShardKeeper) -> None:
        settlement = keeper.settle(self.control, force=True)
        if settlement is not None:
            keeper.commit(settlement)

    def _keeper(self) -> ShardKeeper:
        keeper = ShardKeeper(
            0,
            Counts(2, self.partitions),
            AgentsConfig(snapshot_deltas=20),
            MemoryStateStore(self.topics),
            MemoryTallyLog(self.topics),
            FixedClock(moment_us(END)),
            AgentMetrics(CollectorRegistry()),
        )
        keeper.open()
        return keeper


def said(alerts: Iterable[Alert]) -> dict[str, list[dict[str, Any]]]:
    """By id, what stood in the end: the newest state before the end, and the end; not when it was noticed. Whether it
    was said early, and so in how many states, is a matter of how fast one reads.
    """
    states: dict[str, dict[bool, Alert]] = {}
    for alert in sorted(alerts, key=lambda alert: alert.revision):
        states.setdefault(alert.alert_id, {})[alert.state == "resolved"] = alert
    return {
        one_id: [alert.model_dump(exclude={"evaluated_at", "revision"}) for _, alert in sorted(found.items())]
        for one_id, found in sorted(states.items())
    }


def test_other_batches_and_restores_tell_the_same_spikes(fleet: Fleet, records: list[ControlRecord]) -> None:
    """In between, agents die in the middle of each incident, right before it and right after it."""
    [tallies] = fleet_tallies(together(fleet.chunks(), 2), records)
    planted = [incident for incident in fleet.incidents if incident.looks]
    once = Agents(records, tallies).read(every=2)
    about = {(alert.scope.team, alert.incident) for alert in once if alert.state != "resolved"}
    for incident in planted:
        assert {(incident.team, look) for look in incident.looks} & about, incident
    deaths = [
        place
        for place, message in enumerate(tallies)
        for incident in planted
        if message.mark.max_event_us is not None
        and abs(message.mark.max_event_us - moment_us(incident.starts_at + timedelta(hours=2))) < 3 * 3_600_000_000
    ]
    assert len(deaths) > 2 * len(planted)
    again = Agents(records, tallies).read(every=7, deaths=deaths)
    assert said(again) == said(once)


@pytest.mark.kafka
def test_agents_killed_in_the_middle_tell_the_same(
    fleet: Fleet, records: list[ControlRecord], kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Real processes on Apache Kafka: one is killed in the midst of a spike, the next one in its transaction."""
    first = min((one for one in fleet.incidents if one.looks), key=lambda one: one.starts_at)
    # A week is learnt in one settlement: the agents find all of it when they start.
    since, until = first.starts_at - timedelta(days=7), first.ends_at + timedelta(hours=3)
    chunks = [chunk for chunk in fleet.chunks() if since <= chunk.starts_at < until]
    logs = fleet_tallies(together(chunks, 1), records, tallies=2)
    expected = [alert for log in logs for alert in Agents(records, log, 2).read(every=2)]
    assert {(alert.scope.team, alert.incident) for alert in expected} == {(first.team, first.looks[0])}
    house = House(kafka_bootstrap, topic_prefix, tmp_path / "agents.log")
    producer = Producer(house.connection.librdkafka(linger_ms=20))
    for record in records:
        producer.produce(house.topics.control, dump_record(record), record_key(record), partition=0)
    assert producer.flush(30) == 0

    def tell(since: datetime | None, until: datetime | None) -> None:
        """The tallies of a stretch of event time."""
        for partition, log in enumerate(logs):
            for message in log:
                at_us = message.mark.max_event_us
                assert at_us is not None
                if (since is None or at_us >= moment_us(since)) and (until is None or at_us < moment_us(until)):
                    headers, value = wire(message)
                    producer.produce(house.topics.tallies, value, partition=partition, headers=headers)
        assert producer.flush(30) == 0

    def spikes(found: list[dict[str, Any]]) -> list[Alert]:
        return [Alert.model_validate(one) for one in found if one["kind"] == "spike"]

    middle = first.starts_at + timedelta(minutes=100)
    tell(None, middle)
    with house.agents() as process:
        house.read(house.topics.alerts, lambda found: bool(spikes(found)))
        process.kill()
        process.wait(10)
    tell(middle, None)
    with house.agents("commit:in:1") as process:
        process.wait(DEADLINE_S)
        assert process.returncode == -signal.SIGKILL, house.log.read_text()[-6_000:]
    with house.agents():
        found = house.read(house.topics.alerts, lambda found: any(one.state == "resolved" for one in spikes(found)))
    told = spikes(found)
    assert said(told) == said(expected)
    assert len({(alert.alert_id, alert.revision) for alert in told}) == len(told)

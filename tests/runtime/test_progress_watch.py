"""What the watch sees of a group from outside, and what it makes of a role that stands still."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from prometheus_client import CollectorRegistry

from runtime.admin import create_topics
from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from runtime.group_offsets import GroupOffsets
from runtime.health import Health
from runtime.metrics import HealthMetrics
from runtime.progress_watch import ProgressWatch
from runtime.standstill import NOTHING_COMMITTED, Look, Place, Standstill
from runtime.topic_guard import TopicGuard
from schemas.topics import Topics
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK, spawn_child
from streamgauge.local.process import RoleProcess
from tests.support.enrich import avro_value, event, send
from tests.support.house import TestHouse, wait_for

SECOND = 1_000_000


def never(found: Exception) -> None:
    raise AssertionError(f"nothing was wrong with the topics: {found}")


def commit(connection: KafkaConnection, group: str, topic: str, offset: int) -> None:
    consumer = Consumer(connection.consumer(group))
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def await_leaders(connection: KafkaConnection, places: list[Place]) -> None:
    """A broker may name itself a partition's leader before it acts as one: a look in between sees nothing."""
    group = GroupOffsets(connection, "await-leaders")

    def answers() -> bool:
        try:
            return set(group.looks(places)) == set(places)
        except KafkaException:
            return False

    try:
        wait_for(answers, 30, "leaders that answer")
    finally:
        group.close()


def test_a_group_seen_from_outside(bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(bootstrap, fetch_wait_ms=50)
    topics = Topics(topic_prefix, 2, 1)
    create_topics(connection, topics, 1)
    producer = Producer(connection.librdkafka(transactional_id=f"{topic_prefix}.told"))
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topics.alerts, b"an alert")
    producer.commit_transaction(30)
    place, other = Place(topics.alerts, 0), Place(topics.events, 1)
    await_leaders(connection, [place, other])
    group = GroupOffsets(connection, f"{topic_prefix}.seen")
    try:
        assert group.looks([place, other]) == {
            place: Look(NOTHING_COMMITTED, None, 0, 2),
            other: Look(NOTHING_COMMITTED, None, 0, 0),
        }
        assert group.holds_record({place: 0, other: 0}) == {place: True, other: False}
        commit(connection, f"{topic_prefix}.seen", topics.alerts, 1)
        look = group.looks([place])[place]
        assert (look.committed, look.waiting) == (1, 1), "the transaction's marker stands behind the record"
        assert group.holds_record({place: 1}) == {place: False}
    finally:
        group.close()


def test_the_watch_turns_health_red_and_dumps_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    connection = KafkaConnection(kafka_bootstrap, fetch_wait_ms=50)
    topics = Topics(topic_prefix, 2, 1)
    create_topics(connection, topics, 1)
    send(connection, topics.events, [(0, None, b"one"), (0, None, b"two")])
    clock, registry = FixedClock(), CollectorRegistry()
    health = Health(clock, stall_s=60)
    dumps: list[str] = []
    group = f"{topic_prefix}streamgauge.enrich"
    watch = ProgressWatch(
        connection,
        {topics.events: group},
        health,
        HealthMetrics(registry),
        clock,
        TopicGuard(connection, topics, "enrich"),
        never,
        every_s=30,
        dump=lambda: dumps.append("stacks"),
    )
    health.ready(True)
    await_leaders(connection, [Place(topics.events, partition) for partition in (0, 1)])
    health.holds(topics.events, [0, 1])
    for seconds, alive, dumped in ((0, True, 0), (40, True, 0), (40, False, 1), (40, False, 1)):
        clock.advance(seconds * SECOND)
        health.progress()
        watch.look()
        assert (health.liveness().ok, len(dumps)) == (alive, dumped), health.liveness().reason
    assert f"{topics.events}[0] stands still at its beginning with 2 waiting, for 120 s" in health.liveness().reason
    assert registry.get_sample_value("streamgauge_lag_messages", {"topic": topics.events, "partition": "0"}) == 2
    assert registry.get_sample_value("streamgauge_live") == 0
    assert registry.get_sample_value("streamgauge_standstill_seconds") == 120
    commit(connection, group, topics.events, 2)
    watch.look()
    assert health.liveness().ok
    send(connection, topics.events, [(0, None, b"three")])
    for _ in range(3):
        watch.look()
        clock.advance(60 * SECOND)
    watch.look()
    assert (health.liveness().ok, len(dumps)) == (False, 2), "the next standstill is dumped again"
    health.holds(topics.events, [1])
    watch.look()
    assert health.liveness().ok
    assert registry.get_sample_value("streamgauge_lag_messages", {"topic": topics.events, "partition": "0"}) is None


@pytest.mark.parametrize("alive", [True, False])
def test_a_watch_that_cannot_see_changes_nothing(alive: bool) -> None:
    connection = KafkaConnection(f"{LOOPBACK}:{pick_port()}")
    clock = FixedClock()
    health = Health(clock, stall_s=60)
    topics = Topics()
    watch = ProgressWatch(
        connection,
        {topics.events: "group"},
        health,
        HealthMetrics(CollectorRegistry()),
        clock,
        TopicGuard(connection, topics, "enrich", timeout_s=1),
        never,
        timeout_s=1,
        dump=lambda: None,
    )
    health.holds(topics.events, [0])
    health.watched([])
    if not alive:
        health.watched([Standstill(Place(topics.events, 0), 5, 1, 61.0)])
    clock.advance(3_600 * SECOND)
    watch.look()
    assert health.liveness().ok is alive


class HangingRole(RoleProcess):
    """A role whose loop stands still for as long as `file` exists."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder / f"{name}.log")
        self.file = folder / "hang"

    def start(self, environment: Mapping[str, str]) -> None:
        argv = [sys.executable, "-m", "tests.runtime.hanging_role", self.name, str(self.file)]
        mine = {"STREAMGAUGE_HTTP__HOST": LOOPBACK, "STREAMGAUGE_HTTP__PORT": str(self.port)}
        self._process = spawn_child(argv, log_path=self.log_path, env={**environment, **mine})

    def logged(self, pattern: str) -> int:
        return len(re.findall(pattern, self.log_path.read_text()))


def feed_events(house: TestHouse) -> None:
    send(house.connection, house.topics.events, [(0, b"e", avro_value(event(number))) for number in range(3)])


@pytest.mark.kafka
def test_a_loop_that_hangs_is_not_alive_until_it_goes_on(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    with TestHouse(
        kafka_bootstrap,
        tmp_path,
        f"{topic_prefix}.",
        roles=("enrich",),
        partitions=(2, 2),
        environment={"STREAMGAUGE_HTTP__STALL_S": "4"},
    ) as house:
        role = HangingRole("enrich", tmp_path)
        house.roles["enrich"] = role
        house.start()
        feed_events(house)
        wait_for(lambda: role.liveness().idle, 60, "the events to be enriched")
        # A slow start may have been red already, at a limit as short as this one.
        before = role.logged("health.not_live")
        role.file.touch()
        feed_events(house)
        wait_for(lambda: not role.liveness().ok, 60, "the hung loop to be noticed")
        # 3 were enriched and 3 are new; whether the completion of the first was committed yet is a matter of time.
        told = re.escape(f"{house.topics.events}[0] stands still at offset ") + r"(3 with 3|0 with 6) waiting"
        assert re.search(told, role.liveness().reason)
        wait_for(lambda: role.logged(r"Current thread|most recent call first") > 0, 20, "the stacks")
        # The thread that hangs is among them, by name of the function that it hangs in.
        assert "hanging_role.py" in role.log_path.read_text()
        assert role.logged("health.not_live") == before + 1
        role.file.unlink()
        wait_for(lambda: role.liveness().ok, 60, "the loop to go on")
        wait_for(lambda: role.liveness().idle, 60, "the rest to be enriched")
        assert role.logged("health.not_live") == before + 1
        stacks = role.logged("hanging_role.py")
        os.kill(role.pid, signal.SIGUSR1)
        wait_for(lambda: role.logged("hanging_role.py") > stacks, 20, "the stacks that SIGUSR1 asks for")
        assert role.alive

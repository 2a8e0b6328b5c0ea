"""The control log on both brokers: read to its real end, followed, read as it was, with unreadable records in it."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from confluent_kafka import KafkaError, Producer

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.control_log import LAST_OF_TRANSACTION, ControlFollower, ControlLog, ControlLogReplaced
from schemas.control.budgets import Budget, Scope
from schemas.control.directory import Team, TeamTerm
from schemas.control.records import ControlRecord, dump_record, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import Topics
from tests.support.enrich import make_topics, send, send_records


def budget(name: str, limit: int = 1) -> Budget:
    return Budget(id=name, scope=Scope(), limit=Decimal(limit), period="month")


@pytest.fixture
def connection(bootstrap: str) -> KafkaConnection:
    return KafkaConnection(bootstrap, fetch_wait_ms=50)


@pytest.fixture
def topics(connection: KafkaConnection, topic_prefix: str) -> Topics:
    return make_topics(connection, topic_prefix, 1, 1)


@pytest.fixture
def log(connection: KafkaConnection, topics: Topics) -> ControlLog:
    return ControlLog(connection, topics.control)


def test_an_empty_log(log: ControlLog) -> None:
    snapshot = log.read_to_end(20)
    assert (snapshot.position, dict(snapshot.records)) == (0, {})
    assert log.read_to_end(20).position == 0
    log.close()


def test_read_to_the_last_record_of_the_last_batch(
    log: ControlLog, connection: KafkaConnection, topics: Topics
) -> None:
    """The embedded broker's high watermark is that of the last batch's first record."""
    records: list[ControlRecord] = [Team(id=f"t{n}", terms=(TeamTerm(),)) for n in range(500)]
    producer = Producer(connection.librdkafka(linger_ms=200))
    for record in records:
        producer.produce(topics.control, key=record_key(record).encode(), value=dump_record(record), partition=0)
    assert producer.flush(30) == 0
    assert len(log.read_to_end(20).teams) == 500
    send_records(connection, topics, budget("b"))
    snapshot = log.read_to_end(20)
    assert (len(snapshot.teams), list(snapshot.budgets), snapshot.position) == (500, ["b"], 501)
    log.close()


def test_apply_in_a_transaction_is_one_change(log: ControlLog, connection: KafkaConnection, topics: Topics) -> None:
    producer = Producer(connection.librdkafka(transactional_id=f"{topics.prefix}apply"))
    producer.init_transactions(30)
    producer.begin_transaction()
    for record in (budget("a"), budget("b")):
        producer.produce(topics.control, key=record_key(record).encode(), value=dump_record(record), partition=0)
    producer.commit_transaction(30)
    # A commit is answered before its mark stands in the partition: readers may see it a moment later, all or nothing.
    deadline = time.monotonic() + 20
    while not (budgets := sorted(log.read_to_end(20).budgets)):
        assert time.monotonic() < deadline
    assert budgets == ["a", "b"]
    # The mark takes an offset too, and may be told a moment later.
    while log.poll().position < 3:
        assert time.monotonic() < deadline
    assert log.poll().position == 3
    log.close()


class Fetched:
    """One message, or the end of the partition at an offset, as the client hands it out."""

    def __init__(self, offset: int, record: ControlRecord | None = None, *, last: bool = False) -> None:
        self._offset, self._record = offset, record
        self._headers = [(LAST_OF_TRANSACTION, b"")] if last else None

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._record is None else None

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None if self._record is None else record_key(self._record).encode()

    def value(self) -> bytes | None:
        return None if self._record is None else dump_record(self._record)

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers


class Fetches:
    """A consumer whose fetches are cut as given."""

    def __init__(self, *fetches: list[Fetched]) -> None:
        self._fetches = list(fetches)

    def assign(self, _partitions: object) -> None:
        pass

    def consume(self, _count: int, _wait_s: float) -> list[Fetched]:
        return self._fetches.pop(0) if self._fetches else []

    def close(self) -> None:
        pass


def test_a_transaction_that_begins_in_the_fetch_that_told_the_end_waits_for_its_own(
    log: ControlLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetches = Fetches(
        [Fetched(0, budget("a"))],
        [Fetched(1), Fetched(1, budget("b")), Fetched(2, budget("c"))],
        [Fetched(3, budget("d"), last=True), Fetched(5, budget("e"))],
        [Fetched(6, budget("f"), last=True)],
    )
    log.close()
    monkeypatch.setattr(log, "_consumer", fetches)
    seen = [(sorted(snapshot.budgets), snapshot.position) for snapshot in (log.poll() for _ in range(5))]
    assert seen == [
        ([], 0),
        (["a"], 1),
        (["a", "b", "c", "d"], 4),
        (["a", "b", "c", "d", "e", "f"], 7),
        (["a", "b", "c", "d", "e", "f"], 7),
    ]


def test_the_newest_record_of_a_key_rules_and_none_removes_it(
    log: ControlLog, connection: KafkaConnection, topics: Topics
) -> None:
    send_records(connection, topics, budget("a", 1), budget("b"), budget("a", 2))
    send(connection, topics.control, [(0, b"budget/b", None)])
    snapshot = log.read_to_end(20)
    assert {name: one.limit for name, one in snapshot.budgets.items()} == {"a": Decimal(2)}
    assert snapshot.offsets == {"budget/a": 2}
    log.close()


def test_a_budget_that_went_and_came_between_two_looks_is_told_as_reborn(
    log: ControlLog, connection: KafkaConnection, topics: Topics
) -> None:
    send_records(connection, topics, budget("b"), budget("c"))
    first = log.read_to_end(20)
    assert dict(first.reborn) == {}
    send(connection, topics.control, [(0, b"budget/b", None)])
    send_records(connection, topics, budget("b"), budget("c", 2))
    snapshot = log.read_to_end(20)
    assert (sorted(snapshot.budgets), snapshot.budgets["b"]) == (["b", "c"], first.budgets["b"])
    assert dict(snapshot.reborn) == {"budget/b": snapshot.offsets["budget/b"]}, "c was only changed"
    log.close()


def test_an_unreadable_record_leaves_the_others_in_force(
    log: ControlLog, connection: KafkaConnection, topics: Topics
) -> None:
    send_records(connection, topics, budget("a"))
    send(connection, topics.control, [(0, b"budget/x", b"{"), (0, b"\xff", b"{}"), (0, b"k", b'{"kind":"future"}')])
    send_records(connection, topics, budget("b"))
    assert sorted(log.read_to_end(20).budgets) == ["a", "b"]
    log.close()


def test_as_it_was(log: ControlLog, connection: KafkaConnection, topics: Topics) -> None:
    send_records(connection, topics, budget("a", 1), budget("a", 2), budget("b"))
    log.read_to_end(20)
    assert log.at(3) is log.snapshot
    earlier = log.at(1)
    assert earlier.position == 1
    assert {name: one.limit for name, one in earlier.budgets.items()} == {"a": Decimal(1)}
    assert log.at(0).budgets == {}
    assert log.snapshot.position == 3
    log.close()


def test_poll_takes_up_what_came(log: ControlLog, connection: KafkaConnection, topics: Topics) -> None:
    log.read_to_end(20)
    send_records(connection, topics, budget("a"))
    for _ in range(100):
        if log.poll(0.2).budgets:
            break
    assert list(log.snapshot.budgets) == ["a"]
    log.close()


def test_the_follower_tells_of_newer_snapshots(log: ControlLog, connection: KafkaConnection, topics: Topics) -> None:
    log.read_to_end(20)
    changed = threading.Event()
    seen: list[ControlSnapshot] = []

    def take(snapshot: ControlSnapshot) -> None:
        seen.append(snapshot)
        changed.set()

    follower = ControlFollower(log, take)
    follower.start()
    try:
        send_records(connection, topics, budget("a"))
        assert changed.wait(20)
    finally:
        follower.stop()
    assert list(seen[-1].budgets) == ["a"]


@pytest.mark.kafka
def test_a_control_topic_that_does_not_reach_to_what_was_read_is_no_empty_one(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    connection = KafkaConnection(kafka_bootstrap, fetch_wait_ms=20)
    topics = Topics(topic_prefix, 1, 1)
    create_topics(connection, topics, 1)
    log = ControlLog(connection, topics.control)
    try:
        log.snapshot = log.snapshot.with_changes({}, 9)
        with pytest.raises(ControlLogReplaced, match="no longer reaches to offset 9"):
            log.read_to_end()
    finally:
        log.close()

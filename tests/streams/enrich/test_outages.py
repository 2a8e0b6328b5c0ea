"""What is away is waited out: the registry, Kafka; told to stop meanwhile, a worker leaves and the next one repeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from runtime.clock import FixedClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from schemas.avro_schemas import avro_schema
from schemas.decoding import SchemaSourceAway
from schemas.framing import frame_confluent
from schemas.topics import Topics
from streams.enrich import ends, patience
from streams.enrich.patience import Patience, Stopping
from streams.enrich.publisher import Publisher
from streams.enrich.run import Enricher
from tests.conftest import without_kafka
from tests.streams.enrich.oracle import RECORDS, check, traffic
from tests.support.enrich import (
    avro_value,
    committed_offsets,
    datum,
    enrich_all,
    event,
    home_of,
    make_topics,
    new_enricher,
    read_outputs,
    run_until,
    send,
    send_records,
    short_session,
)
from tests.support.kafka import ApacheKafka
from tests.support.kafka_jars import KafkaUnavailableError


@pytest.fixture(scope="module")
def kafka_of_this_file() -> Iterator[ApacheKafka]:
    try:
        with ApacheKafka() as kafka:
            yield kafka
    except KafkaUnavailableError as error:
        without_kafka(error)


@pytest.fixture
def mortal_kafka(kafka_of_this_file: ApacheKafka) -> ApacheKafka:
    """A running Apache Kafka that tests kill; it begins again where it ended."""
    kafka_of_this_file.start()
    return kafka_of_this_file


class Registry:
    """Knows the current schema as number 7, unless it is `away`. `asked` counts questions that went unanswered."""

    def __init__(self) -> None:
        self.away = threading.Event()
        self.asked = 0

    def schema_text(self, _schema_id: int) -> str:
        if self.away.is_set():
            self.asked += 1
            raise SchemaSourceAway("the schema registry does not answer")
        return avro_schema("usage_event").text


@contextmanager
def turning(worker: Enricher, halt: threading.Event) -> Iterator[list[BaseException]]:
    """The worker's loop in a thread, as `run_enrich` turns it; what it raised."""
    raised: list[BaseException] = []

    def turn() -> None:
        try:
            while not halt.is_set():
                worker.step()
        except Stopping:
            pass
        except BaseException as error:  # noqa: BLE001
            raised.append(error)
        finally:
            worker.close()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield raised
    finally:
        halt.set()
        thread.join(30)
        assert not thread.is_alive(), "the worker did not leave within 30 s"


def wait_for(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.01)


def send_framed(connection: KafkaConnection, topics: Topics, numbers: range) -> None:
    """Events that only the registry can read."""
    framed = [(f"e{n}", frame_confluent(7, datum(event(n)))) for n in numbers]
    send(
        connection,
        topics.events,
        ((home_of(name, topics.event_partitions), name.encode(), value) for name, value in framed),
    )


def test_a_batch_waits_for_the_registry_and_keeps_its_own_events(
    tansu_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused, the batch is enriched once the registry is back, and none of it is its own duplicate."""
    monkeypatch.setattr(patience, "LONGEST_S", 0.3)
    connection = short_session(tansu_bootstrap)
    topics = make_topics(connection, topic_prefix, events=2)
    send_framed(connection, topics, range(50))
    registry, health, halt = Registry(), Health(FixedClock()), threading.Event()
    registry.away.set()
    worker = new_enricher(connection, topics, schemas=registry, health=health, halt=halt)
    with turning(worker, halt) as raised:
        wait_for(lambda: registry.asked >= 4)
        assert "does not answer" in health.readiness().reason
        assert not read_outputs(connection, topics).ledger
        registry.away.clear()
        wait_for(lambda: sum(state.position for state in worker._source.states.values()) == 50)
        wait_for(lambda: health.readiness().ok)
    assert not raised
    seen = read_outputs(connection, topics)
    assert sorted(row["event_id"] for row in seen.rows) == sorted(f"e{n}" for n in range(50))
    assert not seen.rejections
    assert sum(row.duplicates for row in seen.ledger) == 0


@pytest.mark.kafka
def test_told_to_stop_while_the_registry_is_away(kafka_bootstrap: str, topic_prefix: str) -> None:
    """It leaves within seconds, with the intent of its batch standing; the next worker repeats it."""
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix, events=2)
    send_framed(connection, topics, range(50))
    registry, halt = Registry(), threading.Event()
    registry.away.set()
    worker = new_enricher(connection, topics, schemas=registry, halt=halt)
    with turning(worker, halt) as raised:
        wait_for(lambda: registry.asked >= 2)
        began = time.monotonic()
        halt.set()
    assert time.monotonic() - began < 10
    assert not raised
    assert any((metadata or "").startswith("next=") for _, metadata in committed_offsets(connection, topics).values())

    registry.away.clear()
    successor = new_enricher(connection, topics, schemas=registry)
    try:
        run_until(lambda: sum(state.position for state in successor._source.states.values()) == 50, successor)
    finally:
        successor.close()
    seen = read_outputs(connection, topics)
    assert len(seen.rows) == 50
    assert not seen.rejections
    assert sum(row.duplicates for row in seen.ledger) == 0


@pytest.mark.kafka
def test_partitions_that_move_while_the_registry_is_away(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiting worker stays a member: another one joins within the wait, gets its half, and both go on after it."""
    monkeypatch.setattr(patience, "LONGEST_S", 0.3)
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix)
    send_framed(connection, topics, range(120))
    registry, halt = Registry(), threading.Event()
    registry.away.set()
    one = new_enricher(connection, topics, schemas=registry, halt=halt, batch_messages=20)
    other = new_enricher(connection, topics, schemas=registry, halt=halt, batch_messages=20)
    with turning(one, halt) as raised:
        wait_for(lambda: registry.asked >= 2)
        with turning(other, halt) as raised_too:
            wait_for(lambda: len(one._source.states) == 2 and len(other._source.states) == 2)
            registry.away.clear()

            def positions() -> int:
                states = [*one._source.states.values(), *other._source.states.values()]
                return sum(state.position for state in states)

            wait_for(lambda: positions() == 120)
    assert not raised
    assert not raised_too
    seen = read_outputs(connection, topics)
    assert sorted(row["event_id"] for row in seen.rows) == sorted(f"e{n}" for n in range(120))
    assert sum(row.duplicates for row in seen.ledger) == 0


@pytest.mark.kafka
def test_kafka_dies_under_load_and_comes_back(
    mortal_kafka: ApacheKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or doubled, the same worker goes on, and it was not ready meanwhile."""
    monkeypatch.setattr(patience, "LONGEST_S", 1.0)
    connection = short_session(mortal_kafka.bootstrap)
    topics = make_topics(connection, topic_prefix)
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics, 3_000)
    half = len(sent.messages) // 2
    send(connection, topics.events, sent.messages[:half])
    clock, halt = FixedClock(), threading.Event()
    health = Health(clock)
    worker = new_enricher(connection, topics, halt=halt, health=health, batch_messages=20)

    def done() -> int:
        return sum(state.position for state in worker._source.states.values())

    with turning(worker, halt) as raised:
        wait_for(lambda: done() > 100)
        mortal_kafka.kill()
        wait_for(lambda: bool(raised) or not health.readiness().ok)
        mortal_kafka.start()
        send(connection, topics.events, sent.messages[half:])
        wait_for(lambda: bool(raised) or done() == len(sent.messages))
    assert not raised, raised[0]
    check(read_outputs(connection, topics), sent, topics)


@pytest.mark.kafka
def test_a_publisher_that_waits_for_kafka_leaves_when_told(mortal_kafka: ApacheKafka, topic_prefix: str) -> None:
    """What it had not written is supplied by the next worker: no event of the batch is taken for its own duplicate."""
    connection = short_session(mortal_kafka.bootstrap)
    topics = make_topics(connection, topic_prefix, events=1)
    send(connection, topics.events, [(0, b"k", avro_value(event(n))) for n in range(40)])
    halt, told = threading.Event(), threading.Event()
    worker = new_enricher(connection, topics, halt=halt)

    class Cut(Publisher):
        """Kafka dies in the middle of a batch."""

        def publish(self, messages: object) -> int:
            every = list(messages)  # type: ignore[call-overload]
            super().publish(every[:2])
            mortal_kafka.kill()
            told.set()
            return super().publish(every[2:])

    worker._publisher = Cut(connection, Patience(halt))
    with turning(worker, halt) as raised:
        wait_for(told.is_set)
        wait_for(lambda: bool(raised) or len(worker._publisher._producer) > 0)
        halt.set()
    assert not raised, raised[0]
    mortal_kafka.start()
    enrich_all(connection, topics)
    seen = read_outputs(connection, topics)
    assert len(seen.rows) == 40
    assert sum(row.duplicates for row in seen.ledger) == 0


@pytest.mark.kafka
def test_kafka_dies_while_nothing_is_to_do(
    mortal_kafka: ApacheKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that was told before proves nothing; and a worker leaves soon, also when nobody told it to stop."""
    monkeypatch.setattr(ends, "FRESH_S", 0.5)
    connection = short_session(mortal_kafka.bootstrap)
    topics = make_topics(connection, topic_prefix, events=1)
    send(connection, topics.events, [(0, b"k", avro_value(event(0)))])
    health = Health(FixedClock())
    worker = new_enricher(connection, topics, health=health)
    try:
        run_until(lambda: health.liveness().reason.startswith("input empty"), worker)
        mortal_kafka.kill()
        run_until(lambda: not health.readiness().ok, worker)
        began = time.monotonic()
    finally:
        worker.close()
    assert time.monotonic() - began < 20

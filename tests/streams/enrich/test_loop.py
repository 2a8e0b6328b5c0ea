"""The loop on real brokers: restarts, rebalances, markers, idleness, new documents, bad messages, zombies."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client import CollectorRegistry

import streams.enrich.run as run_module
from runtime.clock import FixedClock, SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import EnrichMetrics
from schemas.control.budgets import Budget, Scope
from schemas.positions import SourceRange
from schemas.topics import Topics
from streams.enrich.commits import PartitionsLost
from streams.enrich.fingerprint_log import FingerprintLog, FingerprintsMissing
from streams.enrich.partition_log import OffsetsGone, read_on
from streams.enrich.run import Enricher, run_enrich
from streams.enrich.source import EventSource
from tests.streams.enrich.oracle import RECORDS, Traffic, check, traffic
from tests.support.enrich import (
    CONFIG,
    NOON_US,
    Seen,
    avro_value,
    committed_offsets,
    enrich_all,
    event,
    make_topics,
    new_enricher,
    read_outputs,
    run_until,
    send,
    send_events,
    send_records,
    short_session,
)

#: Where one broker shows it.
ON_KAFKA = pytest.mark.parametrize("bootstrap", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
EMBEDDED = pytest.mark.parametrize("bootstrap", ["tansu"], indirect=True)


@pytest.fixture
def connection(bootstrap: str) -> KafkaConnection:
    return short_session(bootstrap)


@pytest.fixture
def topics(connection: KafkaConnection, topic_prefix: str) -> Topics:
    return make_topics(connection, topic_prefix)


def owns(worker: Enricher, count: int) -> bool:
    return len(worker._source.states) == count


def reached(sent: Traffic, *workers: Enricher) -> bool:
    """Whether each partition is read to its end by the worker that owns it."""
    positions = {p: state.position for worker in workers for p, state in worker._source.states.items()}
    ends = {p: sum(1 for home, _, _ in sent.messages if home == p) for p in sent.arrivals}
    return positions.keys() == ends.keys() and all(positions[p] >= end for p, end in ends.items())


def test_normal_flow(connection: KafkaConnection, topics: Topics) -> None:
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics)
    send(connection, topics.events, sent.messages)
    enrich_all(connection, topics)
    seen = read_outputs(connection, topics)
    check(seen, sent, topics)
    assert seen.skipped == 0


def test_a_restart_goes_on_with_the_window_and_the_watermark(
    connection: KafkaConnection, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fingerprints of a batch fill several records."""
    monkeypatch.setattr("streams.enrich.fingerprint_log._MOST_IDS", 7)
    events = [event(n) for n in range(200)]
    send_events(connection, topics, events)
    enrich_all(connection, topics)
    send_events(
        connection, topics, [*events, *(event(n) for n in range(200, 220)), event(999, occurred_at=NOON_US - 10**9)]
    )
    enrich_all(connection, topics)
    seen = read_outputs(connection, topics)
    assert sorted(row["event_id"] for row in seen.rows) == sorted(f"e{n}" for n in [*range(220), 999])
    assert sum(row.duplicates for row in seen.ledger) == 200
    assert [row["event_id"] for row in seen.rows if row["late"]] == ["e999"]
    assert seen.skipped == 0


@ON_KAFKA
def test_two_workers_share_and_a_rebalance_loses_and_doubles_nothing(
    connection: KafkaConnection, topics: Topics
) -> None:
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics, 3_000)
    half = len(sent.messages) // 2
    send(connection, topics.events, sent.messages[:half])
    one = new_enricher(connection, topics, batch_messages=50)
    halt = threading.Event()
    failed: list[BaseException] = []
    other: Enricher | None = None
    thread: threading.Thread | None = None
    try:
        run_until(lambda: owns(one, 4), one)
        other = new_enricher(connection, topics, batch_messages=50)
        theirs = other

        def turn() -> None:
            try:
                while not halt.is_set():
                    theirs.step()
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        thread = threading.Thread(target=turn)
        thread.start()
        run_until(lambda: owns(one, 2) and owns(theirs, 2), one)
        send(connection, topics.events, sent.messages[half:])
        run_until(lambda: bool(failed) or reached(sent, one, theirs), one)
        halt.set()
        thread.join(30)
        theirs.close()
        other = None
        run_until(lambda: owns(one, 4) and reached(sent, one), one)
    finally:
        halt.set()
        if thread is not None:
            thread.join(30)
        if other is not None:
            other.close()
        one.close()
    assert not failed
    check(read_outputs(connection, topics), sent, topics)


@ON_KAFKA
def test_transaction_markers_leave_no_hole(connection: KafkaConnection, topics: Topics) -> None:
    producer = Producer(connection.librdkafka(transactional_id=f"{topics.prefix}markers"))
    producer.init_transactions(30)
    for n in range(5):
        producer.begin_transaction()
        producer.produce(topics.events, key=f"e{n}".encode(), value=avro_value(event(n)), partition=0)
        producer.commit_transaction(30)
    worker = new_enricher(connection, topics)
    try:
        run_until(lambda: owns(worker, 4) and worker._source.states[0].position >= 9, worker)
    finally:
        worker.close()
    send(connection, topics.events, [(0, b"e9", avro_value(event(9))), (0, b"e1", avro_value(event(1)))])
    worker = new_enricher(connection, topics)
    try:
        run_until(lambda: owns(worker, 4) and worker._source.states[0].position >= 12, worker)
    finally:
        worker.close()
    seen = read_outputs(connection, topics)
    assert sorted(row["event_id"] for row in seen.rows) == ["e0", "e1", "e2", "e3", "e4", "e9"]
    assert sum(row.duplicates for row in seen.ledger) == 1


def idle_partitions(seen: Seen) -> set[tuple[int, int]]:
    return {(found.partition, found.first) for found, mark in seen.idle if mark.kind == "idle"}


def test_idle_partitions_say_so(connection: KafkaConnection, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the partition whose end came in one answer with its last events, and again after more events."""
    monkeypatch.setattr(run_module, "IDLE_AFTER_S", 0.1)
    send(connection, topics.events, [(0, b"e0", avro_value(event(0)))])
    health = Health(FixedClock())
    worker = new_enricher(connection, topics)
    worker._health = health
    try:
        run_until(lambda: len(worker._said_idle) == 4 and worker._said_idle[0][1] == 1, worker)
        for number in range(1, 6):
            # Other partitions are busy in the same moment: their answers carry this partition's end.
            send(connection, topics.events, [(p, b"k", avro_value(event(number * 10 + p))) for p in range(4)])
            run_until(
                lambda number=number: all(  # type: ignore[misc]
                    worker._said_idle[p][1] == number + (p == 0) for p in range(4)
                ),
                worker,
            )
        assert health.liveness().reason.startswith("input empty")
        assert health.readiness().ok
    finally:
        worker.close()
    seen = read_outputs(connection, topics)
    assert {(0, 6), (1, 5), (2, 5), (3, 5)} <= idle_partitions(seen)
    assert {found.partition for found, mark in seen.idle if mark.watermark_us is None} == {1, 2, 3}


def test_control_documents_are_taken_up_without_a_restart(connection: KafkaConnection, topics: Topics) -> None:
    worker = new_enricher(connection, topics)
    try:
        send_events(connection, topics, [event(0)])
        run_until(lambda: sum(state.position for state in worker._source.states.values()) == 1, worker)
        budget = Budget(id="all", scope=Scope(), limit=Decimal(1), period="day")
        send_records(connection, topics, budget)
        run_until(lambda: worker._control.poll().position == 1, worker)
        send_events(connection, topics, [event(1)])
        run_until(lambda: sum(state.position for state in worker._source.states.values()) == 2, worker)
    finally:
        worker.close()
    seen = read_outputs(connection, topics)
    assert [row["calls"] for row in seen.tallies if row["budget_id"] == "all"] == [1]
    assert {row.control for row in seen.ledger} == {0, 1}


@EMBEDDED
def test_bad_messages_stop_nobody(connection: KafkaConnection, topics: Topics) -> None:
    bad: list[bytes | None] = [None, b"", b"{", b"\x00\x00\x00\x00\x07x", b"\xc3\x01" + b"x" * 20, b"what", b"{}"]
    good = [(0, b"k", avro_value(event(n))) for n in range(3)]
    send(connection, topics.events, [good[0], *((0, None, value) for value in bad), *good[1:]])
    enrich_all(connection, topics)
    seen = read_outputs(connection, topics)
    assert [row["src_offset"] for row in seen.rows] == [0, 8, 9]
    assert {one.offset: one.code for one in seen.rejections.values()} == {
        1: "empty",
        2: "empty",
        3: "bad_json",
        4: "unknown_schema",
        5: "unknown_schema",
        6: "unknown_framing",
        7: "missing_field",
    }


@EMBEDDED
def test_run_enrich_ends_when_told_and_commits_what_is_done(connection: KafkaConnection, topics: Topics) -> None:
    send_events(connection, topics, [event(n) for n in range(20)])
    halt = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            run_enrich(config, connection, topics, SystemClock(), halt, CollectorRegistry(), Health())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    config = type(CONFIG)(CONFIG.user_key, group=f"{topics.prefix}enrich", poll_ms=50)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while sum(max(0, offset) for offset, _ in committed_offsets(connection, topics).values()) < 20 and not failed:
            assert time.monotonic() < deadline
    finally:
        halt.set()
        thread.join(30)
    assert not failed
    assert not thread.is_alive()
    assert len(read_outputs(connection, topics).rows) == 20


@EMBEDDED
def test_an_intent_for_a_partition_that_was_taken_away_is_refused(connection: KafkaConnection, topics: Topics) -> None:
    source = EventSource(
        connection,
        topics.events,
        f"{topics.prefix}enrich",
        FingerprintLog(connection, topics.fingerprints, "g", 86_400_000_000, 1_000),
        SystemClock().now_us,
        100,
        0.05,
    )
    try:
        with pytest.raises(PartitionsLost, match="partition 2 was taken away"):
            source.write_intent((SourceRange(2, 0, 5),), 0)
    finally:
        source.close()


def test_offsets_outside_the_log_are_told_not_waited_for(
    connection: KafkaConnection, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded broker never answers a fetch behind the end."""
    monkeypatch.setattr("streams.enrich.partition_log._SILENCE_S", 1.0)
    send(connection, topics.events, [(0, b"k", avro_value(event(0)))])
    with pytest.raises(OffsetsGone):
        list(read_on(connection, "g", topics.events, 0, 50))
    assert [message.offset() for message in read_on(connection, "g", topics.events, 0, 0)] == [0]
    assert list(read_on(connection, "g", topics.events, 1, 0)) == []


def test_a_window_that_does_not_reach_the_committed_offset_stops_the_worker(
    connection: KafkaConnection, topics: Topics
) -> None:
    send_events(connection, topics, [event(n) for n in range(40)])
    group = f"{topics.prefix}enrich"
    consumer = Consumer(connection.consumer(group))
    consumer.commit(offsets=[TopicPartition(topics.events, 0, 3)], asynchronous=False)
    consumer.close()
    worker = new_enricher(connection, topics)
    try:
        with pytest.raises(FingerprintsMissing, match="no record that ends at the committed offset 3"):
            run_until(lambda: owns(worker, 4), worker)
    finally:
        worker.close()


@ON_KAFKA
def test_a_group_that_was_forgotten_does_not_start_over(connection: KafkaConnection, topics: Topics) -> None:
    send_events(connection, topics, [event(n) for n in range(40)])
    enrich_all(connection, topics)
    log = FingerprintLog(connection, topics.fingerprints, "g", 86_400_000_000, 1_000)
    assert log.newest(0) is not None
    config = type(CONFIG)(CONFIG.user_key, group=f"{topics.prefix}another", poll_ms=50)
    worker = Enricher(config, connection, topics, SystemClock(), EnrichMetrics(CollectorRegistry()), Health(), None)
    try:
        with pytest.raises(FingerprintsMissing, match="has no committed offset"):
            run_until(lambda: owns(worker, 4), worker)
    finally:
        worker.close()

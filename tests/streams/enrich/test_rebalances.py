"""Partitions move between three workers while events and resends flow; windows that stay are kept, others come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from runtime.admin import PartitionMismatch
from schemas.topics import Topics
from streams.enrich.fingerprint_log import FingerprintsMissing
from streams.enrich.patience import Stopping
from streams.enrich.run import Enricher
from tests.streams.enrich.oracle import RECORDS, check, traffic
from tests.support.enrich import (
    CONFIG,
    avro_value,
    event,
    make_topics,
    new_enricher,
    read_outputs,
    run_until,
    send,
    send_records,
    short_session,
)


class Member:
    """A worker that turns in a thread of its own until it is told to leave."""

    def __init__(self, worker: Enricher, halt: threading.Event) -> None:
        self.worker = worker
        self._halt = halt
        self.raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def positions(self) -> dict[int, int]:
        return {partition: state.position for partition, state in list(self.worker._source.states.items())}

    def leave(self) -> None:
        self._halt.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert not self.raised, self.raised[0]

    def _turn(self) -> None:
        try:
            while not self._halt.is_set():
                self.worker.step()
        except Stopping:
            pass
        except BaseException as error:  # noqa: BLE001
            self.raised.append(error)
        finally:
            self.worker.close()


def wait_for(done: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)


@pytest.mark.kafka
def test_partitions_move_between_three_workers_while_events_flow(kafka_bootstrap: str, topic_prefix: str) -> None:
    """Each join and leave moves partitions; resends of earlier events come after every move."""
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix, events=6)
    send_records(connection, topics, *RECORDS)
    sent = traffic(topics, 3_000)
    ends = {partition: sum(1 for home, _, _ in sent.messages if home == partition) for partition in sent.arrivals}
    # Each partition's messages in order, a sixth of each at a time: an event and its resend lie on both sides of moves.
    pieces: list[list[tuple[int, bytes | None, bytes | None]]] = [[] for _ in range(6)]
    for partition, end in ends.items():
        mine = [one for one in sent.messages if one[0] == partition]
        for number, some in enumerate(pieces):
            some.extend(mine[number * end // 6 : (number + 1) * end // 6])
    members: list[Member] = []

    def join() -> None:
        halt = threading.Event()
        members.append(Member(new_enricher(connection, topics, batch_messages=10, halt=halt), halt))

    def shared() -> bool:
        held = [set(member.positions()) for member in members]
        return sum(map(len, held)) == 6 == len(set().union(*held)) and all(held)

    def positions() -> dict[int, int]:
        return {p: at for member in members for p, at in member.positions().items()}

    join()
    wait_for(shared)
    for change, piece in zip([join, join, None, "leave", join, None], pieces, strict=True):
        # The change and the traffic go on at once.
        if change == "leave":
            members.pop(0).leave()
        elif callable(change):
            change()
        send(connection, topics.events, piece)
        wait_for(lambda: any(member.raised for member in members) or shared())
    wait_for(lambda: any(member.raised for member in members) or positions() == ends)
    for member in members:
        member.leave()
    check(read_outputs(connection, topics), sent, topics)


@pytest.mark.kafka
def test_a_window_that_stays_is_kept_and_one_that_fell_behind_is_not(kafka_bootstrap: str, topic_prefix: str) -> None:
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix, events=2)
    send(connection, topics.events, [(p, b"k", avro_value(event(10 * p + n))) for n in range(5) for p in range(2)])
    one = new_enricher(connection, topics)
    other: Enricher | None = None
    try:
        run_until(lambda: [state.position for state in one._source.states.values()] == [5, 5], one)
        before = dict(one._source.states)
        other = new_enricher(connection, topics)
        both = other
        run_until(lambda: len(one._source.states) == 1 and len(both._source.states) == 1, one, other)
        [(stayed, state)] = one._source.states.items()
        assert state is before[stayed]
        # Its neighbour goes on elsewhere; when it comes back, what it held here before is out of date.
        send(connection, topics.events, [(1 - stayed, b"k", avro_value(event(77)))])
        run_until(lambda: both._source.states[1 - stayed].position == 6, one, other)
        other.close()
        other = None
        run_until(lambda: len(one._source.states) == 2, one)
        send(connection, topics.events, [(1 - stayed, b"k", avro_value(event(77)))])
        run_until(lambda: one._source.states[1 - stayed].position == 7, one)
    finally:
        if other is not None:
            other.close()
        one.close()
    seen = read_outputs(connection, topics)
    assert len(seen.rows) == 11
    assert sum(row.duplicates for row in seen.ledger) == 1


def test_a_window_that_is_gone_can_be_done_without_on_purpose(tansu_bootstrap: str, topic_prefix: str) -> None:
    """Resends within the horizon count twice then: the error and the log say so, and name the setting."""
    from dataclasses import replace

    from confluent_kafka import Consumer, TopicPartition

    connection = short_session(tansu_bootstrap)
    topics = make_topics(connection, topic_prefix, events=1)
    send(connection, topics.events, [(0, b"k", avro_value(event(n % 4))) for n in range(8)])
    consumer = Consumer(connection.consumer(f"{topics.prefix}enrich"))
    consumer.commit(offsets=[TopicPartition(topics.events, 0, 4)], asynchronous=False)
    consumer.close()
    worker = new_enricher(connection, topics)
    try:
        with pytest.raises(FingerprintsMissing, match="STREAMGAUGE_ENRICH__ACCEPT_MISSING_WINDOW=true"):
            run_until(lambda: False, worker)
    finally:
        worker.close()
    worker = new_enricher(connection, topics, config=replace(CONFIG, accept_missing_window=True))
    try:
        run_until(lambda: worker._source.states.keys() == {0} and worker._source.states[0].position == 8, worker)
    finally:
        worker.close()
    assert len(read_outputs(connection, topics).rows) == 4


@pytest.mark.kafka
def test_a_topic_that_grew_is_refused_when_its_partitions_are_handed_out(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    connection = short_session(kafka_bootstrap)
    grown = make_topics(connection, topic_prefix, events=3)
    topics = Topics(grown.prefix, event_partitions=2, tally_partitions=grown.tally_partitions)
    worker = new_enricher(connection, topics)
    try:
        with pytest.raises(PartitionMismatch, match=r"usage\.events has 3.*topics\.event_partitions says 2"):
            run_until(lambda: False, worker)
    finally:
        worker.close()
    assert not any(read_outputs(connection, grown).ledger)

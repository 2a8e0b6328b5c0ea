"""The reporters against real brokers, and against a broker that is not there."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from runtime.clock import FixedClock
from runtime.connection import KafkaConnection, Sasl
from schemas.decoding import Decoder
from sources.messages import partition_of
from sources.reporter import DeliveryError, Limits, OutcomeEvent, OutcomeReporter, UsageEvent, UsageReporter
from tests.sources.support import DEADLINE_S, PARTITIONS, make_topics, read_all, usage_of, usage_table


def event(number: int = 0) -> UsageEvent:
    return UsageEvent(event_id=f"event-{number}", model="gpt-4o", input_tokens=100 + number, output_tokens=5)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true within the deadline"
        threading.Event().wait(0.005)


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_events_arrive_in_batches_of_one_partition(bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(bootstrap, topic_prefix)
    clock = FixedClock(1_780_000_000_000_000)
    with UsageReporter(bootstrap, source="test", topic=topics.events, clock=clock) as reporter:
        assert all(reporter.report(event(number)) for number in range(1_000))
        assert reporter.flush(DEADLINE_S) == 0
        assert (reporter.stats.delivered, reporter.stats.queued) == (1_000, 0)

    messages = read_all(bootstrap, topics.events)
    assert len(messages) < 100
    decoded = usage_of(messages)
    assert decoded.failures == []
    rows = decoded.table.to_pylist()
    assert {row["event_id"]: row["input_tokens"] for row in rows} == {f"event-{n}": 100 + n for n in range(1_000)}
    assert {(row["source"], row["occurred_at"]) for row in rows} == {
        ("test", datetime.fromtimestamp(1_780_000_000, UTC))
    }
    for place, row in zip(decoded.message.tolist(), rows, strict=True):
        assert messages[place].partition == partition_of(row["event_id"], PARTITIONS)


def test_outcomes_arrive(tansu_bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    outcome = OutcomeEvent(
        team_id="support", use_case="help", kind="ticket_resolved", succeeded=True, value_usd=Decimal("1.5")
    )
    with OutcomeReporter(tansu_bootstrap, source="desk", topic=topics.outcomes) as reporter:
        reporter.report(outcome)
    (message,) = read_all(tansu_bootstrap, topics.outcomes)
    assert message.key == outcome.outcome_id.encode()
    (row,) = Decoder("outcome_event").decode([message.value]).table.to_pylist()
    assert (row["outcome_id"], row["value_nanousd"], row["source"]) == (outcome.outcome_id, 1_500_000_000, "desk")


def test_many_threads_may_report(tansu_bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    with UsageReporter(tansu_bootstrap, source="test", topic=topics.events) as reporter:

        def work(first: int) -> None:
            for number in range(first, first + 250):
                reporter.report(event(number))

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 2_000, 250)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ids = usage_table(tansu_bootstrap, topics.events).column("event_id").to_pylist()
    assert sorted(ids) == sorted(f"event-{number}" for number in range(2_000))


def test_a_full_queue_drops_counts_and_tells_but_never_raises_or_waits(nobody: str) -> None:
    told: list[tuple[Sequence[UsageEvent], DeliveryError]] = []
    limits = Limits(capacity=10, delivery_timeout_s=60)
    reporter = UsageReporter(nobody, source="test", limits=limits, on_error=lambda *what: told.append(what))
    began = time.monotonic()
    accepted = [reporter.report(event(number)) for number in range(15)]
    assert time.monotonic() - began < 1.0
    assert accepted == [True] * 10 + [False] * 5
    assert (reporter.stats.queued, reporter.stats.dropped) == (10, 5)
    with pytest.raises(DeliveryError, match="5 events were dropped because the queue was full") as caught:
        reporter.close(0.1)
    assert "10 events wait for Kafka" in str(caught.value)
    until(lambda: len(told) == 2)
    by_kind = {error.dropped > 0: (events, error) for events, error in told}
    assert [one.event_id for one in by_kind[True][0]] == [f"event-{number}" for number in range(10, 15)]
    assert by_kind[False][1].failed == 10


def test_an_outage_beyond_the_delivery_timeout_names_its_cause(nobody: str) -> None:
    told: list[DeliveryError] = []
    reporter = UsageReporter(
        nobody, source="test", limits=Limits(delivery_timeout_s=0.5), on_error=lambda _, error: told.append(error)
    )
    reporter.report(event())
    with pytest.raises(DeliveryError, match=f"no Kafka broker at {nobody} answered") as caught:
        reporter.flush(DEADLINE_S)
    assert caught.value.failed == 1
    until(lambda: len(told) == 1)
    assert reporter.stats.failed == 1
    # What was told once is not raised again.
    assert reporter.close() == 0


def test_flush_returns_what_is_still_on_its_way(nobody: str) -> None:
    reporter = UsageReporter(nobody, source="test", limits=Limits(delivery_timeout_s=60), on_error=lambda *_: None)
    reporter.report(event())
    assert reporter.flush(0.05) == 1
    assert reporter.close(0.05) == 1
    until(lambda: reporter.stats.failed == 1)


def test_a_missing_topic_is_named(tansu_bootstrap: str, topic_prefix: str) -> None:
    reporter = UsageReporter(
        tansu_bootstrap,
        source="test",
        topic=f"{topic_prefix}.nowhere",
        limits=Limits(delivery_timeout_s=0.5),
        on_error=lambda *_: None,
    )
    reporter.report(event())
    with pytest.raises(DeliveryError, match=rf"{topic_prefix}\.nowhere' does not exist"):
        reporter.flush(DEADLINE_S)
    reporter.close()


def test_an_outage_within_the_delivery_timeout_is_waited_out(topic_prefix: str) -> None:
    from streamgauge.embedded.broker import EmbeddedBroker

    broker = EmbeddedBroker()
    broker.start()
    address = broker.bootstrap
    port = int(address.rpartition(":")[2])
    broker.stop()
    reporter = UsageReporter(address, source="test", topic=f"{topic_prefix}usage.events")
    reporter.report(event(7))
    assert reporter.flush(0.2) == 1
    with EmbeddedBroker(port) as again:
        topics = make_topics(again.bootstrap, topic_prefix)
        assert reporter.close(DEADLINE_S) == 0
        assert usage_table(again.bootstrap, topics.events).column("event_id").to_pylist() == ["event-7"]


def test_a_callback_that_raises_stops_nothing(nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    def on_error(_events: Sequence[UsageEvent], _error: DeliveryError) -> None:
        raise ZeroDivisionError

    reporter = UsageReporter(nobody, source="test", limits=Limits(delivery_timeout_s=0.2), on_error=on_error)
    for number in range(2):
        reporter.report(event(number))
        with pytest.raises(DeliveryError):
            reporter.flush(DEADLINE_S)
    reporter.close()
    assert caplog.text.count("on_error raised") == 2


def test_after_close_events_are_dropped_not_raised(nobody: str) -> None:
    reporter = UsageReporter(nobody, source="test", on_error=lambda *_: None)
    reporter.close()
    assert reporter.report(event()) is False
    assert reporter.stats.dropped == 1


def test_the_end_of_the_process_delivers_what_was_reported(tansu_bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    program = f"""
        from sources.reporter import UsageEvent, UsageReporter
        reporter = UsageReporter({tansu_bootstrap!r}, source="script", topic={topics.events!r})
        reporter.report(UsageEvent(event_id="last-words", model="gpt-4o", input_tokens=1, output_tokens=1))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert usage_table(tansu_bootstrap, topics.events).column("event_id").to_pylist() == ["last-words"]


def _child(reporter: UsageReporter) -> None:
    reporter.report(event(2))
    reporter.close()


def test_a_forked_child_sends_its_own_events_only(tansu_bootstrap: str, topic_prefix: str) -> None:
    topics = make_topics(tansu_bootstrap, topic_prefix)
    with UsageReporter(tansu_bootstrap, source="test", topic=topics.events) as reporter:
        reporter.report(event(1))
        reporter.flush(DEADLINE_S)
        child = multiprocessing.get_context("fork").Process(target=_child, args=(reporter,))
        child.start()
        child.join(DEADLINE_S)
        assert child.exitcode == 0
        reporter.report(event(3))
    ids = usage_table(tansu_bootstrap, topics.events).column("event_id").to_pylist()
    assert sorted(ids) == ["event-1", "event-2", "event-3"]


def test_a_reporter_needs_a_source_and_shows_no_secret(nobody: str) -> None:
    with pytest.raises(ValueError, match="source is empty"):
        UsageReporter(nobody, source="")
    connection = KafkaConnection(nobody, sasl=Sasl("PLAIN", "user", "hunter2"))
    reporter = UsageReporter(connection, source="test")
    assert "hunter2" not in repr(vars(reporter))
    reporter.close()

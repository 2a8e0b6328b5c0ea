"""ClickHouse refuses, hangs, is slow, cuts its answers or fails with any code: waited out, and the rows are exact."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.errors import TRANSIENT, SinkError
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.sinks.running import CONFIG, RunningSink, SinkHouse, wait_until
from tests.support.blocks import enriched_table, range_messages
from tests.support.faulty_door import EVENTS, INSERTS, LEDGER, Fault, FaultyDoor

pytestmark = pytest.mark.kafka

ROWS = "SELECT src_offset FROM usage_events_raw ORDER BY src_offset"
CHAIN = "SELECT first, next, refused FROM usage_ledger ORDER BY first"


@pytest.fixture
def door(clickhouse: EmbeddedClickHouse) -> Iterator[FaultyDoor]:
    with FaultyDoor(clickhouse.port) as opened:
        yield opened


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget, door: FaultyDoor) -> House:
    return House(kafka_bootstrap, topic_prefix, http_target, door)


class House(SinkHouse):
    """A house whose sink reaches ClickHouse through the door, and whose questions do not."""

    def __init__(self, bootstrap: str, prefix: str, direct: ClickHouseTarget, door: FaultyDoor) -> None:
        super().__init__(bootstrap, prefix, replace(direct, port=door.port, timeout_s=2, connect_timeout_s=2))
        self._direct = direct
        self._next = 0

    def feed(self, ranges: int = 1) -> None:
        """Ranges of ten events each, behind one another."""
        for _ in range(ranges):
            first, self._next = self._next, self._next + 10
            messages = range_messages(enriched_table(10, first=first), SourceRange(0, first, self._next))
            self.put(self.topics.enriched, 0, messages)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        through, self.target = self.target, self._direct
        try:
            return super().query(sql)
        finally:
            self.target = through

    def wait_until_exact(self, sink: RunningSink) -> None:
        """Every event once, also as stored, and the ledger's chain without a hole; nothing set aside."""
        self.wait_for("SELECT max(next) FROM usage_ledger", [(self._next,)], sink)
        assert self.query(ROWS) == [(offset,) for offset in range(self._next)]
        assert self.query(CHAIN) == [(first, first + 10, 0) for first in range(0, self._next, 10)]
        assert self.query("SELECT count() FROM usage_rejected") == [(0,)]


def test_every_transient_code_is_waited_out_with_capped_backoff(house: House, door: FaultyDoor) -> None:
    house.config = replace(CONFIG, retry_first_s=0.01, retry_cap_s=0.1)
    with house.running() as sink, capture_logs() as logs:
        house.feed()
        for number, (code, name) in enumerate(TRANSIENT.items()):
            door.fault(Fault("code", (EVENTS, LEDGER)[number % 2], code=code, name=name))
            if number % 2:
                house.feed()
            door.await_met()
        door.heal()
        house.wait_until_exact(sink)
        retried = sink.metric("streamgauge_sink_inserts_total", table="usage_events_raw", result="retried")
    waits = [entry for entry in logs if entry["event"] == "sink.waiting"]
    assert {entry["code"] for entry in waits} == set(TRANSIENT)
    assert {entry["retry_in_s"] for entry in waits} <= {0.0, 0.1}, "told once per try, never longer than the cap"
    assert 0 < retried <= len(waits)


@pytest.mark.parametrize("code", [60, 4_321])
def test_a_code_that_waiting_does_not_mend_stops_the_sink(house: House, door: FaultyDoor, code: int) -> None:
    house.feed()
    with house.running() as sink:
        house.wait_until_exact(sink)
        door.fault(Fault("code", EVENTS, code=code, name="UNKNOWN_TABLE"))
    house.feed()
    with (
        pytest.raises(SinkError, match=rf"waiting does not mend \(code {code}\).*faulty door"),
        house.running() as sink,
    ):
        sink.await_error()
    assert house.query(CHAIN) == [(0, 10, 0)]
    door.heal()
    with house.running() as sink:
        house.wait_until_exact(sink)


def test_answers_that_do_not_come_are_asked_for_again(house: House, door: FaultyDoor) -> None:
    """Also where the insert was done and only its answer was lost: the token makes the repeat nothing."""
    with house.running() as sink:
        for table in (EVENTS, LEDGER):
            for fault in (Fault("cut"), Fault("drop"), Fault("slow", seconds=0.7)):
                door.fault(replace(fault, only=table, times=1))
                house.feed(2)
                door.await_met()
                house.wait_until_exact(sink)
        door.refuse()
        house.feed()
        wait_until(lambda: not sink.health.readiness().ok, lambda: "nobody noticed that ClickHouse refuses")
        door.heal()
        house.wait_until_exact(sink)


def test_a_hang_ends_at_the_client_s_timeout(house: House, door: FaultyDoor) -> None:
    """Before ClickHouse has the insert, in the midst of its body, and after it was done."""
    with house.running() as sink:
        for fault in (Fault("hang", EVENTS), Fault("half", EVENTS), Fault("hold", EVENTS), Fault("hold", LEDGER)):
            door.fault(replace(fault, times=1))
            house.feed(2)
            door.await_met()
            house.wait_until_exact(sink)
            assert sink.metric("streamgauge_sink_inserts_total", table="usage_events_raw", result="retried") > 0
        assert sink.health.readiness().ok


def test_a_sink_that_waits_for_an_answer_stops_when_told_to(house: House, door: FaultyDoor) -> None:
    house.target = replace(house.target, timeout_s=240)
    with house.running() as sink:
        door.fault(Fault("hold", INSERTS))
        house.feed()
        door.await_met()
        began = time.monotonic()
    assert time.monotonic() - began < 60, "a request may hang for 240 s, a stop may not"
    door.heal()
    with house.running() as sink:
        house.wait_until_exact(sink)


def test_a_sink_that_waits_for_an_answer_keeps_nobody_waiting(house: House, door: FaultyDoor) -> None:
    """A second sink, whose way to ClickHouse is open, gets its partition in the midst of the first one's hang, and
    repeats what the first had begun.
    """
    house.target = replace(house.target, timeout_s=240)
    other = House(house.bootstrap, house.prefix, house._direct, door)
    other.target, other._next = house._direct, 10
    with house.running():
        door.fault(Fault("hold", EVENTS))
        house.feed()
        door.await_met()
        with other.running() as second:
            first = range_messages(enriched_table(5, partition=1), SourceRange(1, 0, 5))
            house.put(house.topics.enriched, 1, first)
            wait_until(
                lambda: house.query("SELECT count() > 0 FROM usage_ledger") == [(1,)],
                lambda: f"the second sink waits for the first: {second.health.readiness().reason}",
            )
            door.heal()
            house.wait_for("SELECT sum(next - first) FROM usage_ledger FINAL", [(15,)], second)
            assert house.query("SELECT count() FROM usage_events_raw") == [(15,)]

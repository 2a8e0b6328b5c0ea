"""A sink is killed (SIGKILL) or stalls (SIGSTOP) at each step of its loop, and partitions move between three: every row
once, as stored, and the ledger exact.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.positions import SourceRange
from sinks.config import ClickHouseTarget
from sinks.database import Database
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from tests.sinks.running import RunningSink, SinkHouse, wait_until
from tests.sinks.victim import FLUSH_ROWS, POINTS, given
from tests.support.blocks import enriched_table, range_messages
from tests.support.faulty_door import EVENTS, LEDGER, Fault, FaultyDoor

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

CONSTRAINT = "ALTER TABLE usage_events_raw ADD CONSTRAINT not_poisoned CHECK latency_ms IS NULL OR latency_ms < 1000000"
#: In every flush one row that ClickHouse refuses.
BAD = 13


class House(SinkHouse):
    """Feeds every partition alike and knows what must stand in ClickHouse."""

    fed = 0

    def feed(self, flushes: int) -> None:
        for partition in range(self.partitions):
            for first in range(self.fed, self.fed + flushes * FLUSH_ROWS, FLUSH_ROWS // 2):
                after = first + FLUSH_ROWS // 2
                latency = [2_000_000 if offset % FLUSH_ROWS == BAD else 5 for offset in range(first, after)]
                table = enriched_table(after - first, partition=partition, first=first, latency_ms=latency)
                source = SourceRange(partition, first, after)
                self.put(self.topics.enriched, partition, range_messages(table, source))
        self.fed += flushes * FLUSH_ROWS

    def wait_until_exact(self, sink: RunningSink | None = None) -> None:
        """Every good row once, every bad one set aside, every range once; as stored, before any merge or FINAL."""
        partitions, flushes = self.partitions, self.fed // FLUSH_ROWS
        self.wait_for("SELECT sum(next - first) FROM usage_ledger FINAL", [(self.fed * partitions,)], sink)
        assert self.query(
            "SELECT src_partition, count(), uniqExact(src_offset), min(src_offset), max(src_offset) "
            "FROM usage_events_raw GROUP BY 1 ORDER BY 1"
        ) == [(p, self.fed - flushes, self.fed - flushes, 0, self.fed - 1) for p in range(partitions)]
        assert self.query(
            "SELECT partition, count(), uniqExact(first), sum(enriched), sum(refused) FROM usage_ledger GROUP BY 1 "
            "ORDER BY 1"
        ) == [(p, flushes * 2, flushes * 2, self.fed, flushes) for p in range(partitions)]

    @contextmanager
    def victim(
        self,
        log: Path,
        point: str = "never",
        how: signal.Signals = signal.SIGKILL,
        through: FaultyDoor | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        target = replace(self.target, port=through.port) if through else self.target
        argument = given(self.bootstrap, self.prefix, self.partitions, target, point, how)
        with log.open("ab") as out:
            victim = subprocess.Popen(
                [sys.executable, "-m", "tests.sinks.victim", argument], stdout=out, stderr=subprocess.STDOUT
            )
        try:
            yield victim
        finally:
            victim.kill()
            victim.wait(10)


@pytest.fixture
def house(kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget) -> House:
    house = House(kafka_bootstrap, topic_prefix, http_target, partitions=1)
    with house.running():
        pass
    with Database.open(house.target) as database:
        database.command(CONSTRAINT)
    return house


def _ended(victim: subprocess.Popen[bytes], house: House) -> int:
    """Exit code. Traffic goes on: a first flush may take all there is, and the point is met in the second."""
    for _ in range(12):
        try:
            return victim.wait(15)
        except subprocess.TimeoutExpired:
            house.feed(2)
    return victim.wait(15)


def test_killed_at_every_step_one_after_the_other(house: House, clickhouse: EmbeddedClickHouse, tmp_path: Path) -> None:
    """Each victim repeats what the one before had begun, and dies a flush later at the next step."""
    log = tmp_path / "log"
    house.feed(2 * len(POINTS) + 8)
    for point in POINTS[:-1]:
        with house.victim(log, point) as victim:
            assert _ended(victim, house) == -signal.SIGKILL, log.read_text()[-3000:]
    with FaultyDoor(clickhouse.port) as door:
        # The request half sent; done, and its answer on the way; in the midst of the search for the bad row.
        for fault in (Fault("half", EVENTS), Fault("hold", EVENTS, after=3), Fault("hold", LEDGER)):
            door.fault(fault)
            with house.victim(log, through=door):
                door.await_met()
            door.heal()
    with house.running() as sink:
        house.wait_until_exact(sink)
        flushes = house.fed // FLUSH_ROWS
        house.wait_for("SELECT count(), uniqExact(offset) FROM usage_rejected FINAL", [(flushes, flushes)], sink)


@pytest.mark.parametrize("point", ["before 2", "in 3", "after 4"])
def test_a_stalled_sink_that_comes_back(house: House, tmp_path: Path, point: str) -> None:
    """Before its intent it is refused; behind it, what it adds is a repeat."""
    log = tmp_path / "log"
    house.feed(4)
    with house.victim(log, point, signal.SIGSTOP) as victim:
        stat = Path(f"/proc/{victim.pid}/stat")
        wait_until(lambda: stat.read_text().split(") ")[1].startswith("T"), lambda: log.read_text()[-3000:])
        with house.running() as sink:
            house.wait_until_exact(sink)
            victim.send_signal(signal.SIGCONT)
            wait_until(lambda: log.read_text().count("sink.assigned") > 1, lambda: log.read_text()[-3000:])
            house.feed(2)
            house.wait_until_exact(sink)
        victim.send_signal(signal.SIGTERM)
        assert victim.wait(30) == 0, log.read_text()[-3000:]
    house.wait_until_exact()


def test_partitions_move_between_three(
    kafka_bootstrap: str, topic_prefix: str, http_target: ClickHouseTarget, tmp_path: Path
) -> None:
    house = House(kafka_bootstrap, topic_prefix, http_target, partitions=6)
    with house.running():
        pass
    with Database.open(house.target) as database:
        database.command(CONSTRAINT)
    logs = [tmp_path / name for name in "abc"]

    def joined(log: Path, times: int = 1) -> None:
        wait_until(lambda: log.read_text().count("sink.place") >= times, lambda: log.read_text()[-3000:])

    with house.victim(logs[0]) as first:
        house.feed(2)
        joined(logs[0])
        with house.victim(logs[1]) as second:
            house.feed(1)
            joined(logs[1])
            with house.victim(logs[2]) as third:
                house.feed(1)
                joined(logs[2])
                first.kill()
                house.feed(1)
                second.send_signal(signal.SIGTERM)
                house.feed(1)
                assert second.wait(180) == 0, logs[1].read_text()[-3000:]
                house.wait_until_exact()
                assert third.poll() is None

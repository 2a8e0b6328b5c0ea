"""What was removed by hand is put back as it was, from Kafka, and a second run finds nothing to do."""

from __future__ import annotations

import random

from schemas.rejections import Rejection, pack_raw
from sinks.reconcile.mend import Mended, Mender
from tests.sinks.reconcile.ground import Ground, events

EVERYTHING = "SELECT * FROM usage_events_raw FINAL ORDER BY src_partition, src_offset"
LEDGER = "SELECT * EXCEPT inserted_at FROM usage_ledger FINAL ORDER BY partition, first"


def mend(ground: Ground) -> Mended:
    judged = ground.judge(most_ranges=None)
    return Mender(ground.database, ground.connection, ground.topics, ground.clock).mend(judged)


def test_missing_rows_come_back_as_they_were(ground: Ground) -> None:
    ground.range(0, 40, 60, parts=3)
    before = ground.database.query(EVERYTHING)
    for _ in range(2):
        # Twice the same: a token that was used before would make ClickHouse drop the rows silently.
        ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_offset IN (7, 12, 41, 59)")
        assert mend(ground) == Mended(events=6)
        assert ground.findings() == []
        assert ground.database.query(EVERYTHING) == before
    assert mend(ground) == Mended()


def test_all_rows_of_a_partition_come_back(ground: Ground) -> None:
    before = ground.database.query(EVERYTHING)
    ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_partition = 1")
    assert mend(ground) == Mended(events=40)
    assert ground.database.query(EVERYTHING) == before


def test_a_hole_is_filled_with_its_rows(ground: Ground) -> None:
    before, ledger = ground.database.query(EVERYTHING), ground.database.query(LEDGER)
    ground.tamper("ALTER TABLE usage_ledger DELETE WHERE first IN (0, 10) AND partition = 0")
    ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_offset = 11 AND src_partition = 0")
    assert mend(ground) == Mended(events=1, ranges=2)
    assert ground.findings() == []
    assert ground.database.query(EVERYTHING) == before
    assert ground.database.query(LEDGER) == ledger


def test_a_changed_ledger_row_is_written_again(ground: Ground) -> None:
    ledger = ground.database.query(LEDGER)
    ground.clock.advance(1_000_000)
    ground.tamper("ALTER TABLE usage_ledger UPDATE cost_nanousd = 1 WHERE partition = 1 AND first = 10")
    assert [one.kind for one in ground.findings()] == ["ledger_changed"]
    assert mend(ground).ranges == 1
    assert ground.findings() == []
    assert ground.database.query(LEDGER) == ledger


def test_a_changed_row_stays_until_it_is_deleted(ground: Ground) -> None:
    before = ground.database.query(EVERYTHING)
    ground.tamper("ALTER TABLE usage_events_raw UPDATE input_tokens = 1 WHERE src_partition = 0 AND src_offset = 2")
    assert mend(ground) == Mended()
    assert [one.kind for one in ground.findings()] == ["changed"]
    ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_partition = 0 AND src_offset = 2")
    assert mend(ground) == Mended(events=1)
    assert ground.database.query(EVERYTHING) == before


def test_records_of_refused_events_come_back(ground: Ground) -> None:
    ground.range(0, 40, 43, events(0, 40, 41), duplicates=0, rejected=2)
    for offset in (41, 42):
        raw, sha256, size, cut = pack_raw(b"{")
        rejection = Rejection(
            code="bad_json",
            message="no JSON",
            topic=ground.topics.events,
            partition=0,
            offset=offset,
            appended_at_us=ground.clock.now_us(),
            raw=raw,
            raw_sha256=sha256,
            raw_bytes=size,
            raw_truncated=cut,
        )
        ground.send(ground.topics.rejected, rejection.model_dump_json().encode())
    ground.commit_records(2)
    assert [(one.kind, one.events) for one in ground.findings()] == [("rejection_missing", 2)]
    assert mend(ground) == Mended(rejections=2)
    assert ground.findings() == []


def test_whatever_rows_are_removed_come_back(ground: Ground) -> None:
    """Four rounds of random rows and ranges; the seed is fixed, so that a failure can be met again."""
    chosen = random.Random(20_261_121)
    before, ledger = ground.database.query(EVERYTHING), ground.database.query(LEDGER)
    for _ in range(4):
        rows = chosen.sample([(p, offset) for p in range(2) for offset in range(40)], chosen.randint(1, 30))
        ground.tamper(f"ALTER TABLE usage_events_raw DELETE WHERE (src_partition, src_offset) IN ({listed(rows)})")
        # Not the last range: without it the ledger ends earlier, which looks like a sink that is behind.
        ranges = chosen.sample([(p, first) for p in range(2) for first in (0, 10)], chosen.randint(0, 3))
        if ranges:
            ground.tamper(f"ALTER TABLE usage_ledger DELETE WHERE (partition, first) IN ({listed(ranges)})")
        report = ground.judge().report
        assert report.residual > 0
        while mend(ground) != Mended():
            pass
        assert ground.findings() == []
        assert ground.database.query(EVERYTHING) == before
        assert ground.database.query(LEDGER) == ledger


def listed(pairs: list[tuple[int, int]]) -> str:
    return ", ".join(f"({one}, {two})" for one, two in pairs)

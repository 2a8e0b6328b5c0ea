"""Healthy data gives zero; whatever is removed, repeated or changed by hand is named with its kind and its place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sinks.database import read_sql
from sinks.reconcile.findings import Finding
from sinks.reconcile.keyed import READABLE
from tests.sinks.reconcile.ground import Ground, events
from tests.support.blocks import NOON_US

Named = tuple[str, str, int | None, int, tuple[tuple[int, int], ...]]


def named(findings: Sequence[Finding]) -> list[Named]:
    return [(one.check, one.kind, one.partition, one.events, one.positions) for one in findings]


def test_healthy_data_has_no_residual(ground: Ground) -> None:
    report = ground.judge().report
    assert report.residual == 0
    assert [(line.check, line.partition, line.judged, line.events) for line in report.lines] == [
        ("chain", 0, 3, 40),
        ("chain", 1, 3, 40),
        ("parts", 0, 3, 40),
        ("parts", 1, 3, 40),
        ("rows", 0, 3, 40),
        ("rows", 1, 3, 40),
        ("rejected", 0, 3, 0),
        ("rejected", 1, 3, 0),
        ("agents", None, 0, 0),
    ]
    assert report.notes == ()


def test_rows_that_are_on_their_way_are_not_judged(ground: Ground) -> None:
    ground.send_events(0, 45)
    block = ground.range(0, 40, 45)
    ground.tamper(f"ALTER TABLE usage_ledger DELETE WHERE partition = 0 AND first = {block.source.first}")
    report = ground.judge().report
    assert report.residual == 0
    assert report.notes == ("partition 0: behind by 5 messages of usage.events, not yet judged",)


def test_a_removed_row_is_missing(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_partition = 1 AND src_offset IN (12, 35)")
    assert named(ground.findings()) == [("rows", "missing", 1, 1, ((12, 0),)), ("rows", "missing", 1, 1, ((35, 0),))]


def test_a_changed_row_is_noticed(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_events_raw UPDATE cost_nanousd = 7 WHERE src_partition = 0 AND src_offset = 15")
    (found,) = ground.findings()
    assert named([found]) == [("rows", "changed", 0, 1, ((15, 0),))]
    assert found.difference is not None
    assert found.difference.cost_nanousd == 7 - 16_000


def test_a_price_taken_away_is_noticed_though_no_sum_changes(ground: Ground) -> None:
    ground.range(0, 40, 41, events(0, 40, 41, cost_nanousd=0))
    ground.tamper("ALTER TABLE usage_events_raw UPDATE cost_nanousd = NULL WHERE src_partition = 0 AND src_offset = 40")
    assert named(ground.findings()) == [("rows", "changed", 0, 1, ((40, 0),))]


def test_a_repeated_row_is_said_and_harmless(ground: Ground) -> None:
    ground.copy_row("src_partition = 0 AND src_offset = 3")
    report = ground.judge().report
    assert report.residual == 0
    (note,) = report.notes
    assert note.startswith("partition 0: 1 rows were written more than once (offsets 3)")


def test_a_row_repeated_under_another_id_is_surplus(ground: Ground) -> None:
    ground.copy_row("src_partition = 0 AND src_offset = 3", event_id="'made-up'")
    assert named(ground.findings()) == [("rows", "surplus", 0, 1, ((3, 0),))]


def test_a_row_repeated_at_another_place_is_surplus_and_no_resend(ground: Ground) -> None:
    """It hides the true row of the event; no correction of totals may come of that."""
    ground.copy_row("src_partition = 0 AND src_offset = 3", src_offset="33", ingested_at="ingested_at - 1")
    findings = [one for one in ground.findings() if one.check == "rows"]
    assert {one.kind for one in findings} == {"surplus"}
    assert {position for one in findings for position in one.positions} == {(33, 0)}


def test_a_row_at_an_offset_that_never_was_is_surplus(ground: Ground) -> None:
    ground.copy_row("src_partition = 0 AND src_offset = 3", src_offset="999999", event_id="'made-up'")
    assert named(ground.findings()) == [("rows", "surplus", 0, 1, ((999999, 0),))]


def test_a_removed_ledger_row_is_a_hole(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_ledger DELETE WHERE partition = 1 AND first = 10")
    (found, *others) = ground.findings()
    assert (found.check, found.kind, found.partition, found.first, found.next) == ("chain", "hole", 1, 10, 30)
    assert {one.check for one in others} <= {"rows"}


def test_a_removed_beginning_is_a_late_start(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_ledger DELETE WHERE partition = 1 AND first = 0")
    (found,) = ground.findings()
    assert (found.kind, found.first, found.next, found.events) == ("late_start", 0, 10, 10)


def test_a_changed_ledger_row_is_noticed(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_ledger UPDATE enriched = enriched + 1 WHERE partition = 1 AND first = 10")
    assert [(one.check, one.kind, one.first, one.events) for one in ground.findings()] == [
        ("parts", "unequal_parts", 10, 1),
        ("rows", "ledger_changed", 10, 1),
    ]


def test_an_overlap_is_noticed(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_ledger UPDATE next = 32 WHERE partition = 0 AND first = 10")
    assert ("chain", "overlap", 30, 32) in [(one.check, one.kind, one.first, one.next) for one in ground.findings()]


def test_a_ledger_beyond_the_topic_is_noticed(ground: Ground) -> None:
    ground.tamper("ALTER TABLE usage_ledger UPDATE next = 50 WHERE partition = 0 AND first = 30")
    assert ("chain", "beyond_end", 40, 50) in [(one.check, one.kind, one.first, one.next) for one in ground.findings()]


@pytest.mark.parametrize("merged", [False, True])
def test_a_resend_into_another_partition_is_named(ground: Ground, merged: bool) -> None:
    again = events(0, 5, 6).set_column(0, "src_partition", events(1, 40, 41)["src_partition"])
    again = again.set_column(1, "src_offset", events(1, 40, 41)["src_offset"])
    again = again.set_column(3, "ingested_at", events(1, 40, 41)["ingested_at"])
    ground.range(1, 40, 41, again)
    if merged:
        ground.tamper("OPTIMIZE TABLE usage_events_raw FINAL")
    assert named(ground.findings()) == [("rows", "resend", 1, 1, ((40, 0),))]


def test_what_was_taken_out_of_totals_is_settled(ground: Ground) -> None:
    again = events(0, 5, 6).set_column(1, "src_offset", events(0, 40, 41)["src_offset"])
    again = again.set_column(3, "ingested_at", events(0, 40, 41)["ingested_at"])
    ground.range(0, 40, 41, again)
    columns = "log, src_partition, src_offset, kind, calls, input_tokens, output_tokens, cost_nanousd"
    ground.insert("usage_adjustments", columns, ground.log, 0, 40, "resend", -1, -105, -15, -6000)
    assert ground.findings() == []


def test_records_of_refused_events_are_counted(ground: Ground) -> None:
    ground.range(0, 40, 43, events(0, 40, 41), duplicates=0, rejected=2)
    (found,) = ground.findings()
    assert (found.kind, found.partition, found.first, found.events) == ("rejection_missing", 0, 40, 2)
    columns = "log, topic, partition, offset, index, code"
    for offset in (41, 42, 41):
        ground.insert("usage_rejected", columns, ground.log, ground.topics.events, 0, offset, 0, "bad_json")
    assert ground.findings() == []
    ground.insert("usage_rejected", columns, ground.log, ground.topics.events, 0, 42, 7, "bad_json")
    assert [(one.kind, one.events) for one in ground.findings()] == [("rejection_surplus", 1)]


def test_only_what_was_appended_since_is_judged(ground: Ground) -> None:
    ground.range(0, 40, 50, append_us=NOON_US + 30_000_000)
    ground.tamper("ALTER TABLE usage_events_raw DELETE WHERE src_offset IN (5, 45)")
    found = ground.findings(NOON_US + 20_000_000)
    assert named(found) == [("rows", "missing", 0, 1, ((45, 0),))]


def test_questions_ask_for_all_that_analysts_may_read() -> None:
    for question in ("events_at", "deliveries_at"):
        text = read_sql("reconcile", f"{question}.sql")
        asked = text[text.index("SELECT") : text.index("FROM")].replace("SELECT", "").replace("`", "").split(",")
        assert [name.strip() for name in asked] == READABLE.names

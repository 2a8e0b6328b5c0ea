"""What ClickHouse tells agents that are rebuilt: each event once, below given offsets, resends put back."""

from __future__ import annotations

import pyarrow as pa

from runtime.clock import FixedClock
from sinks.database import Database
from sinks.records.record_rows import ADJUSTMENTS
from sinks.recovery.usage_history import ClickHouseHistory
from tests.support.blocks import NOON_US, default_of, enriched_table

LOG = "cluster/topic"
MINUTE = 60_000_000


def put(database: Database, table: pa.Table, log: str = LOG) -> None:
    database.insert("usage_events_raw", table.append_column("log", pa.array([log] * table.num_rows)))


def ledger(
    database: Database, partition: int, first: int, after: int, enriched: int = 1, refused: int = 0, lost: int = 0
) -> None:
    """`refused` rows that ClickHouse did not take; `lost`: their cost."""
    database.command(
        "INSERT INTO usage_ledger (log, partition, first, next, read, enriched, refused, refused_cost_nanousd) VALUES "
        "({log:String}, {partition:Int32}, {first:Int64}, {next:Int64}, {rows:Int64}, {rows:Int64}, {refused:Int64}, "
        "{lost:Int64})",
        {
            "log": LOG,
            "partition": partition,
            "first": first,
            "next": after,
            "rows": enriched,
            "refused": refused,
            "lost": lost,
        },
    )


def test_the_chain_says_how_far_it_reaches(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG)
    assert history.reaches(0) == 0
    ledger(database, 0, 0, 10)
    ledger(database, 0, 10, 25)
    ledger(database, 0, 30, 40)
    assert history.reaches(0) == 25


def test_events_below_the_offsets_are_summed_once_by_team_and_window(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG)
    calls = enriched_table(4, occurred_at=[NOON_US, NOON_US, NOON_US + MINUTE, NOON_US], cost_nanousd=[1, 2, 4, 8])
    put(database, calls)
    put(database, calls)
    put(database, enriched_table(2, partition=1, team_id=None, cost_nanousd=16))
    put(database, enriched_table(1, partition=0, first=9, cost_nanousd=32), log="another/life")
    found = history.team_sums("minute", 0, {0: 3, 1: 1})
    noon = NOON_US // MINUTE
    rows = {(row["team_id"], row["window"] - noon): (row["calls"], row["cost_nanousd"]) for row in found.to_pylist()}
    assert rows == {("payments", 0): (2, 3), ("payments", 1): (1, 4), (None, 0): (1, 16)}
    (month,) = history.team_sums("month", 0, {0: 3}).to_pylist()
    assert (month["window"], month["cost_nanousd"]) == ((2026 - 1970) * 12 + 2, 7)
    assert history.team_sums("day", NOON_US // 86_400_000_000 + 1, {0: 3}).num_rows == 0


def test_a_budget_sums_what_its_scope_matches_by_quarter(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG)
    put(database, enriched_table(3, stage="production", cost_nanousd=5, input_tokens=7, output_tokens=1))
    put(database, enriched_table(2, partition=1, stage="exploratory", cost_nanousd=100))
    found = history.budget_sums({"team_id": ("payments",), "stage": ("production",)}, 0, {0: 2, 1: 9})
    assert found.to_pylist() == [
        {
            "minute": NOON_US // MINUTE // 15 * 15,
            "calls": 2,
            "tokens": 16,
            "cost_nanousd": 10,
            "provisional_nanousd": 0,
            "output_tokens": 2,
        }
    ]
    everywhere = history.budget_sums(
        {"stage": ("production", "exploratory"), "team_id": ("payments",)}, 0, {0: 2, 1: 9}
    )
    assert everywhere["calls"].to_pylist() == [4]
    assert history.budget_sums({"workflow": ("night",)}, 0, {0: 2, 1: 9}).num_rows == 0


def take_back(database: Database, partition: int, offset: int) -> None:
    """The correction of a resend at this position, of one call for 5 nano-dollars."""
    given = {
        "log": LOG,
        "src_partition": partition,
        "src_offset": offset,
        "booked_at": NOON_US,
        "team_id": "payments",
        "calls": -1,
        "cost_nanousd": -5,
        "kind": "resend",
        "adjustment_id": "a",
    }
    columns = [
        pa.array([given[field.name]], field.type)
        if field.name in given
        else default_of(field, 1)
        if not pa.types.is_timestamp(field.type)
        else pa.array([NOON_US], field.type)
        for field in ADJUSTMENTS
    ]
    database.insert("usage_adjustments", pa.Table.from_arrays(columns, schema=ADJUSTMENTS))


def test_a_resend_that_was_taken_back_is_put_back_for_those_who_add_adjustments(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG)
    put(database, enriched_table(1, cost_nanousd=5))
    take_back(database, 0, 4)
    (before,) = history.team_sums("day", 0, {0: 5}).to_pylist()
    assert (before["calls"], before["cost_nanousd"]) == (2, 10)
    (earlier,) = history.team_sums("day", 0, {0: 4}).to_pylist()
    assert (earlier["calls"], earlier["cost_nanousd"]) == (1, 5)


def test_ranges_with_resends_that_nobody_corrected_are_named_up_to_the_offsets(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG, FixedClock(NOON_US))
    first = enriched_table(3, partition=0, cost_nanousd=5)
    put(database, first)
    ledger(database, 0, 0, 3, enriched=3)
    # The second and third event come again, beyond the dedupe horizon and into another partition.
    again = enriched_table(4, partition=1, first=7, cost_nanousd=5)
    ids = first["event_id"].to_pylist()
    again = again.set_column(
        again.schema.get_field_index("event_id"),
        again.schema.field("event_id"),
        pa.array([ids[1], "new-1", ids[2], "new-2"], again.schema.field("event_id").type),
    )
    later = pa.array([NOON_US + 3_600 * 1_000_000] * 4, again.schema.field("ingested_at").type)
    again = again.set_column(again.schema.get_field_index("ingested_at"), again.schema.field("ingested_at"), later)
    put(database, again)
    ledger(database, 1, 7, 9, enriched=2)
    ledger(database, 1, 9, 12, enriched=2)
    assert history.uneven({0: 3, 1: 7}) == []
    assert history.uneven({0: 3, 1: 9}) == [(1, 7, 9, -1)]
    assert history.uneven({0: 3, 1: 12}) == [(1, 7, 9, -1), (1, 9, 12, -1)]
    take_back(database, 1, 7)
    assert history.uneven({0: 3, 1: 12}) == [(1, 9, 12, -1)]


def test_what_clickhouse_refused_is_counted_until_it_was_sent_again(database: Database) -> None:
    history = ClickHouseHistory(lambda: database, LOG, FixedClock(NOON_US))
    put(database, enriched_table(2, cost_nanousd=5))
    ledger(database, 0, 0, 5, enriched=4, refused=2, lost=30)
    ledger(database, 0, 5, 9, enriched=1, refused=1, lost=4)
    assert history.refused({0: 5}) == (2, 30)
    assert history.refused({0: 9}) == (3, 34)
    assert history.uneven({0: 9}) == []
    put(database, enriched_table(1, first=3, cost_nanousd=20))
    database.command(
        "INSERT INTO rejected_replays (log, topic, partition, offset, `index`, code, to_topic) VALUES "
        "({log:String}, 'usage.events', 0, 3, 0, 'refused_by_clickhouse', 'usage_events_raw')",
        {"log": LOG},
    )
    assert history.refused({0: 9}) == (2, 14)
    assert history.uneven({0: 9}) == []

"""What ClickHouse tells agents of budgets that were made in mid-period: each event once, new prices as of an offset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from runtime.clock import FixedClock
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.migrate import has_access_control, migrate
from sinks.records.record_rows import ADJUSTMENTS
from sinks.recovery.bases import BaseSums, LedgerSpan, Scoped
from tests.support.blocks import NOON_US, default_of, enriched_table

LOG = "cluster/topic"
NOON = NOON_US // 60_000_000


@pytest.fixture
def database(http_target: ClickHouseTarget) -> Iterator[Database]:
    with Database.open(http_target, create=True) as opened:
        migrate(opened, FixedClock(NOON_US), has_access_control=has_access_control(opened))
        yield opened


@pytest.fixture
def sums(database: Database) -> BaseSums:
    return BaseSums(database, LOG, FixedClock(NOON_US))


def put(database: Database, table: pa.Table, log: str = LOG, **more: str) -> None:
    """`more`: columns of usage_events_raw that the table may lack."""
    for name, value in more.items():
        column = pa.array([value] * table.num_rows, pa.utf8())
        at = table.schema.get_field_index(name)
        table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
    database.insert("usage_events_raw", table.append_column("log", pa.array([log] * table.num_rows)))


def ledger(database: Database, first: int, after: int, rows: int, control: int = 1, refused: int = 0) -> None:
    database.command(
        "INSERT INTO usage_ledger (log, partition, first, next, read, enriched, control, refused, appended_at) VALUES "
        "({log:String}, 0, {first:Int64}, {next:Int64}, {rows:Int64}, {rows:Int64}, {control:Int64}, {refused:Int64}, "
        "fromUnixTimestamp64Micro({at:Int64}, 'UTC'))",
        {
            "log": LOG,
            "first": first,
            "next": after,
            "rows": rows,
            "control": control,
            "refused": refused,
            "at": NOON_US,
        },
    )


def adjust(database: Database, kind: str, offset: int, position: int, **figures: int) -> None:
    given: dict[str, Any] = {
        "log": LOG,
        "src_partition": 0,
        "src_offset": offset,
        "booked_at": NOON_US,
        "team_id": "payments",
        "kind": kind,
        "adjustment_id": f"a{position}",
        "position": position,
        **figures,
    }
    columns = [
        pa.array([given[field.name]], field.type)
        if field.name in given
        else pa.array([NOON_US], field.type)
        if pa.types.is_timestamp(field.type)
        else default_of(field, 1)
        for field in ADJUSTMENTS
    ]
    database.insert("usage_adjustments", pa.Table.from_arrays(columns, schema=ADJUSTMENTS))


def rows(table: pa.Table) -> list[tuple[int, int, int]]:
    return [(row["minute"] - NOON, row["calls"], row["cost_nanousd"]) for row in table.to_pylist()]


def test_budgets_of_any_shape_in_one_answer(database: Database, sums: BaseSums) -> None:
    put(
        database, enriched_table(2, team_id="search", department="lab", cost_nanousd=3, input_tokens=5, output_tokens=2)
    )
    put(database, enriched_table(1, first=2, team_id="risk", department="bank", cost_nanousd=10), workflow="night")
    put(database, enriched_table(1, first=9, team_id="risk", department="bank", cost_nanousd=100))
    put(database, enriched_table(1, first=3, team_id=None, department=None, cost_nanousd=7))
    team, other, both, flow, all_of_it = sums.sums(
        [
            Scoped({"team_id": ("search",)}, 0),
            Scoped({"team_id": ("nobody",)}, 0),
            Scoped({"department": ("lab", "bank")}, 0),
            Scoped({"team_id": ("risk",), "workflow": ("night",)}, 0),
            Scoped({}, 0),
        ],
        {0: 9},
        0,
    )
    assert team.to_pylist() == [
        {
            "minute": NOON,
            "calls": 2,
            "tokens": 14,
            "cost_nanousd": 6,
            "provisional_nanousd": 0,
            "output_tokens": 4,
        }
    ]
    assert [rows(one) for one in (other, both, flow)] == [[], [(0, 3, 16)], [(0, 1, 10)]]
    assert rows(all_of_it) == [(0, 4, 23)]
    (later,) = sums.sums([Scoped({"team_id": ("search",)}, NOON + 15)], {0: 9}, 0)
    assert rows(later) == []


def test_new_prices_count_up_to_an_offset_of_the_adjustments(database: Database, sums: BaseSums) -> None:
    put(database, enriched_table(2, cost_nanousd=3), role="analyst")
    adjust(database, "reprice", 1, 4, cost_nanousd=5)
    adjust(database, "reprice", 0, 9, cost_nanousd=70)
    # One that corrects a resend takes nothing away: the row is there once.
    adjust(database, "resend", 1, 5, calls=-1, cost_nanousd=-3)
    asked = [Scoped({"team_id": ("payments",), "role": ("analyst",)}, 0), Scoped({"role": ("clerk",)}, 0)]
    assert [rows(one) for one in sums.sums(asked, {0: 2}, 9)] == [[(0, 2, 11)], []]
    assert rows(sums.sums(asked, {0: 2}, 10)[0]) == [(0, 2, 81)]
    assert rows(sums.sums(asked, {0: 2}, 4)[0]) == [(0, 2, 6)]


def test_the_ledger_tells_of_holes_and_of_what_was_refused(database: Database, sums: BaseSums) -> None:
    assert sums.ledger({0: 50}, NOON) == []
    ledger(database, 0, 10, 10)
    ledger(database, 10, 20, 10, refused=2)
    assert sums.ledger({0: 20}, NOON) == [LedgerSpan(0, 0, 2, 0, 20, 20, 2)]
    assert sums.ledger({0: 20}, NOON)[0].hole is None
    ledger(database, 30, 40, 10)
    assert sums.ledger({0: 40}, NOON)[0].hole == "10 offsets of partition 0"
    # Two days later nothing of this matters any more.
    assert sums.ledger({0: 40}, NOON + 2 * 1_440)[0].hole is None
    assert LedgerSpan(3, 70, 1, 70, 80, 10, 0).hole == "partition 3 before offset 70"


def test_a_resend_matters_where_the_budget_was_counted_and_until_it_is_corrected(
    database: Database, sums: BaseSums
) -> None:
    put(database, enriched_table(4))
    # The ledger counts a fifth event, at offset 4: it was sent again, and its first delivery stands already.
    ledger(database, 0, 2, 2, control=1)
    ledger(database, 2, 5, 3, control=8)
    assert sums.uneven({0: 5}, 7, 0) == [(0, 2, 5, -1)]
    assert sums.uneven({0: 5}, 8, 0) == []
    assert sums.uneven({0: 2}, 7, 0) == []
    adjust(database, "resend", 4, 6, calls=-1)
    assert sums.uneven({0: 5}, 7, 6) == [(0, 2, 5, -1)]
    assert sums.uneven({0: 5}, 7, 7) == []

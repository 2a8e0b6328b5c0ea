"""Tally and budget rows against a brute-force fold with zoneinfo: scopes, homes, periods on days when clocks change."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.base import moment_us, us_moment
from schemas.control.budgets import Budget, Period, Scope
from schemas.tallies import CELL_DIMENSIONS, MEASURES, TALLIES, home_partition
from streams.enrich.budget_rows import BudgetIndex, BudgetRows
from streams.enrich.cells import cells_of
from streams.enrich.facts import facts_of
from streams.enrich.source_rows import source_rows
from streams.enrich.tally import TallyMaker
from tests.support.blocks import enriched_table
from tests.support.enrich import NOON_US

TALLY_PARTITIONS = 5
NOBODY = source_rows(
    np.zeros(0, np.int32), pa.chunked_array([[]], pa.utf8()), np.zeros(0, np.int64), np.zeros(0, bool), ()
)
CALLS = MEASURES.index("calls")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo", "America/Havana")


def budget(number: int, period: Period = "month", zone: str = "UTC", **scope: Any) -> Budget:
    return Budget(id=f"b{number}", scope=Scope(**scope), limit=Decimal(1), period=period, time_zone=zone)


BUDGETS = (
    budget(0),
    budget(1, "day", "Europe/Berlin", team="t0"),
    budget(2, "month", "Asia/Kolkata", department="d0", stage="production"),
    budget(3, "day", "America/Sao_Paulo", use_case="u1"),
    budget(4, "month", "UTC", team="t1", project="p0", model_class="small"),
    budget(5, "day", "UTC", team="t0"),
    budget(6, "month", "UTC", department="nobody"),
)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "src_partition": st.integers(0, 2),
            "team_id": st.sampled_from(["t0", "t1", "unattributed"]),
            "department": st.sampled_from(["d0", None]),
            "project_id": st.sampled_from(["p0", None]),
            "use_case": st.sampled_from(["u1", None]),
            "stage": st.sampled_from(["production", None]),
            "model_class": st.sampled_from(["small", None]),
            # Two days around a month's turn, in seconds.
            "at": st.integers(0, 2 * 86_400),
            "status": st.sampled_from(["ok", "error"]),
            "late": st.booleans(),
            "cost_nanousd": st.sampled_from([None, 5, 70]),
            "latency_ms": st.sampled_from([None, 11]),
            "input_tokens": st.integers(0, 9),
        }
    ),
    max_size=25,
)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    base = moment_us(datetime(2026, 2, 28, tzinfo=UTC))
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in (rows[0] if rows else ()) if name != "at"}
    columns["occurred_at"] = [base + row["at"] * 1_000_000 for row in rows]
    return enriched_table(len(rows), **columns)


def budget_rows(index: BudgetIndex, table: pa.Table) -> BudgetRows:
    facts = facts_of(table)
    return index.rows(cells_of(facts), facts)


def period_start(one: Budget, us: int) -> int:
    """Local midnight of the day or month, found by walking back minute by minute of UTC; minutes since the epoch."""
    zone = ZoneInfo(one.time_zone)
    moment = us_moment(us).replace(second=0, microsecond=0)

    def name(at: datetime) -> tuple[int, ...]:
        local = at.astimezone(zone)
        return (local.year, local.month, local.day) if one.period == "day" else (local.year, local.month)

    here, step = name(moment), timedelta(hours=1)
    while name(moment - step) == here:
        moment -= step
    while name(moment - timedelta(minutes=1)) == here:
        moment -= timedelta(minutes=1)
    return moment_us(moment) // 60_000_000


def brute_force(table: pa.Table) -> dict[tuple[Any, ...], dict[str, int]]:
    """(input partition, tally partition, key columns) -> sums, one event at a time."""
    sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(MEASURES, 0))
    for row in table.to_pylist():
        us = moment_us(row["occurred_at"])
        keys: list[tuple[Any, ...]] = []
        cell = tuple(row[name] for name in CELL_DIMENSIONS)
        home = home_partition(f"team/{row['team_id']}", TALLY_PARTITIONS)
        keys.append((row["src_partition"], home, *cell, us // 60_000_000, None, None, None))
        for one in BUDGETS:
            if all(row[column] in wanted for column, wanted in one.scope.selectors().items()):
                home = home_partition(f"budget/{one.id}", TALLY_PARTITIONS)
                quarter = us // 900_000_000 * 15
                nobody = (None,) * len(CELL_DIMENSIONS)
                keys.append((row["src_partition"], home, *nobody, quarter, one.id, one.rule, period_start(one, us)))
        for key in keys:
            mine = sums[key]
            mine["calls"] += 1
            mine["errors"] += row["status"] == "error"
            mine["late"] += row["late"]
            mine["unpriced"] += row["cost_nanousd"] is None
            for name in MEASURES[4:]:
                mine[name] += row[name] or 0
    return dict(sums)


@settings(max_examples=60)
@given(ROWS)
def test_sums_and_homes_are_those_of_a_brute_force_fold(rows: list[dict[str, Any]]) -> None:
    table = table_of(rows)
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    tallies = TallyMaker(TALLY_PARTITIONS).tally(facts_of(table), BudgetIndex(BUDGETS), NOBODY)
    for (partition, home), tally in tallies.items():
        assert tally.schema.equals(TALLIES)
        for row in tally.to_pylist():
            key = (partition, home, *(row[name] for name in CELL_DIMENSIONS), row["minute"])
            key += (row["budget_id"], row["budget_rule"], row["period_start"])
            assert key not in found, "a key has one row"
            assert row["sub_key"] is row["source"] is row["rejection_code"] is None
            found[key] = {name: row[name] for name in MEASURES}
    assert found == brute_force(table)


#: Local days on which clocks change: Berlin both ways, São Paulo when midnight was skipped and when it came back,
#: Havana where the hour from midnight comes twice.
CHANGES = (
    ("Europe/Berlin", datetime(2026, 3, 29)),  # noqa: DTZ001
    ("Europe/Berlin", datetime(2026, 10, 25)),  # noqa: DTZ001
    ("America/Sao_Paulo", datetime(2018, 11, 4)),  # noqa: DTZ001
    ("America/Sao_Paulo", datetime(2018, 2, 18)),  # noqa: DTZ001
    ("America/Havana", datetime(2026, 11, 1)),  # noqa: DTZ001
    ("America/Havana", datetime(2026, 3, 8)),  # noqa: DTZ001
    ("Asia/Kolkata", datetime(2026, 3, 1)),  # noqa: DTZ001
)


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("period", ["day", "month"])
def test_periods_on_days_when_clocks_change(zone: str, day: datetime, period: Period) -> None:
    """Every quarter of an hour from the day before to the day after lies in the period of its local date."""
    one = budget(0, period, zone)
    start = moment_us(datetime.combine(day - timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC))
    times = [start + quarter * 900_000_000 for quarter in range(3 * 96)]
    table = enriched_table(len(times), occurred_at=times)
    rows = budget_rows(BudgetIndex([one]), table)
    assert rows.sums[CALLS].sum() == len(times)
    assert set(zip(rows.minute.tolist(), rows.period_start.tolist(), strict=True)) == {
        (us // 60_000_000, period_start(one, us)) for us in times
    }


def test_a_budget_without_selectors_counts_every_team_of_the_platform() -> None:
    table = enriched_table(4, team_id=["a", "b", "c", "unattributed"], cost_nanousd=[1, 2, 4, None])
    rows = budget_rows(BudgetIndex([budget(0), budget(1)]), table)
    assert rows.sums[CALLS].tolist() == [4, 4]
    assert rows.sums[MEASURES.index("cost_nanousd")].tolist() == [7, 7]
    assert rows.sums[MEASURES.index("unpriced")].tolist() == [1, 1]


def test_no_rows_no_tallies() -> None:
    assert TallyMaker(4).tally(facts_of(enriched_table(0)), BudgetIndex(BUDGETS), NOBODY) == {}
    rows = budget_rows(BudgetIndex(()), enriched_table(2, occurred_at=[NOON_US, NOON_US]))
    assert rows.sums.shape == (len(MEASURES), 0)

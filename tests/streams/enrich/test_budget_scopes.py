"""Budget rows against plain loops: random budgets over every selector, period and time zone, random calls, and clocks
that change by half an hour, at midnight, or lie at quarters of an hour.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.budgets import Budget, Period, Scope
from schemas.control.periods import period_of
from schemas.tallies import MEASURES
from streams.enrich.budget_rows import BudgetIndex
from streams.enrich.facts import facts_of
from streams.enrich.source_rows import source_rows
from streams.enrich.tally import TallyMaker
from tests.support.blocks import enriched_table

QUARTER = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: An instant at which clocks change there, or a month turns.
TURNS = (
    ("UTC", datetime(2026, 4, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 6, 30, 18, 30, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 12, 31, 18, 15, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 4, 4, 14, tzinfo=UTC)),
)
#: Column of an event, selector of a scope, and its values.
SELECTORS = (
    ("department", "department", ("d0", "d1", "d2")),
    ("team_id", "team", ("t0", "t1")),
    ("project_id", "project", ("p0", "p1")),
    ("use_case", "use_case", ("u0", "u1")),
    ("stage", "stage", ("production", "exploratory")),
    ("model_class", "model_class", ("small", "frontier")),
    ("workflow", "workflow", ("w0", "w1")),
    ("user_hash", "user", ("hash-0", "hash-1")),
    ("role", "role", ("r0", "r1")),
    ("criticality", "criticality", ("low", "high")),
    ("data_class", "data_class", ("public", "secret")),
)
COUNTED = ("calls", "input_tokens", "cost_nanousd", "provisional_nanousd", "late", "unpriced", "errors")


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    chosen = draw(st.lists(st.sampled_from(SELECTORS), max_size=3, unique=True))
    fields: dict[str, Any] = {selector: draw(st.sampled_from(values)) for _, selector, values in chosen}
    if "department" in fields and draw(st.booleans()):
        fields["within"] = tuple(draw(st.permutations(["d0", "d1", "d2"]))[: draw(st.integers(1, 3))])
    return Scope(**fields)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Budget], list[dict[str, Any]]]:
    """Budgets of one or two zones, and calls within three days of a turn there."""
    turns = draw(st.lists(st.sampled_from(TURNS), min_size=1, max_size=2))
    zones = [zone for zone, _ in turns]
    budgets = []
    for number in range(draw(st.integers(0, 6))):
        period: Period = draw(st.sampled_from(["hour", "day", "week", "month", "quarter", "span"]))
        more: dict[str, Any] = {}
        if period == "span":
            starts_at = turns[0][1] + draw(st.integers(-200, 200)) * QUARTER
            more = {"starts_at": starts_at, "ends_at": starts_at + draw(st.integers(1, 300)) * QUARTER}
        budgets.append(
            Budget(
                id=f"b{number}",
                scope=draw(scopes()),
                limit=Decimal(1),
                period=period,
                time_zone=draw(st.sampled_from(zones)),
                **more,
            )
        )
    events = []
    for _ in range(draw(st.integers(0, 25))):
        near = draw(st.sampled_from([2 * 3_600, 3 * 86_400]))
        at = draw(st.sampled_from(turns))[1] + timedelta(seconds=draw(st.integers(-near, near)))
        event: dict[str, Any] = {
            "occurred_at": (at - EPOCH) // timedelta(microseconds=1),
            "src_partition": draw(st.integers(0, 2)),
            "input_tokens": draw(st.integers(0, 9)),
            "cost_nanousd": draw(st.sampled_from([None, 5, 70])),
            "provisional_nanousd": draw(st.sampled_from([0, 3])),
            "late": draw(st.booleans()),
            "status": draw(st.sampled_from(["ok", "error"])),
        }
        event |= {column: draw(st.sampled_from([*values, None])) for column, _, values in SELECTORS}
        events.append(event)
    return budgets, events


def label(one: Budget, at: datetime) -> tuple[Any, ...] | None:
    """What a calendar on the wall there says of the period; None outside of a span."""
    local = at.astimezone(ZoneInfo(one.time_zone))
    if one.period == "span":
        return ("span",) if one.starts_at is not None and one.starts_at <= at < one.ends_at else None  # type: ignore[operator]
    if one.period == "hour":
        return local.year, local.month, local.day, local.hour, local.utcoffset()
    if one.period == "day":
        return local.year, local.month, local.day
    if one.period == "week":
        return tuple(local.isocalendar())[:2]
    return local.year, local.month if one.period == "month" else (local.month - 1) // 3


def walk(one: Budget, at: datetime, step: timedelta) -> datetime:
    """The last quarter of an hour in that direction with the same label as `at`."""
    here = EPOCH + (at - EPOCH) // QUARTER * QUARTER
    named = label(one, here)
    days = step * 96
    while abs(days) >= QUARTER:
        while label(one, here + days) == named:
            here += days
        days = days / 2 if abs(days) > 3 * QUARTER else days / 3
    return here


def wants(one: Budget, event: dict[str, Any]) -> bool:
    for column, selector, _ in SELECTORS:
        wanted = getattr(one.scope, selector)
        if wanted is None:
            continue
        if selector == "department" and one.scope.within:
            if event[column] not in one.scope.within:
                return False
        elif event[column] != wanted:
            return False
    return True


def brute_force(budgets: list[Budget], events: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    """(partition, budget, quarter, period start), in minutes -> sums, one event and budget at a time."""
    sums: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTED, 0))
    for event in events:
        at = EPOCH + timedelta(microseconds=event["occurred_at"])
        for one in budgets:
            if label(one, at) is None or not wants(one, event):
                continue
            quarter = (at - EPOCH) // QUARTER * 15
            start = (walk(one, at, -QUARTER) - EPOCH) // timedelta(minutes=1)
            mine = sums[event["src_partition"], one.id, quarter, start]
            mine["calls"] += 1
            for name in ("input_tokens", "cost_nanousd", "provisional_nanousd", "late"):
                mine[name] += event[name] or 0
            mine["unpriced"] += event["cost_nanousd"] is None
            mine["errors"] += event["status"] == "error"
    return dict(sums)


def tallied(budgets: list[Budget], events: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    ordered = sorted(events, key=lambda event: int(event["src_partition"]))
    columns: dict[str, Any] = {name: [event[name] for event in ordered] for name in (ordered[0] if ordered else ())}
    nobody = source_rows(
        np.zeros(0, np.int32), pa.chunked_array([[]], pa.utf8()), np.zeros(0, np.int64), np.zeros(0, bool), ()
    )
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    table = enriched_table(len(ordered), **columns)
    for (partition, _), rows in TallyMaker(4).tally(facts_of(table), BudgetIndex(budgets), nobody).items():
        for row in rows.to_pylist():
            if row["budget_id"] is not None:
                key = (partition, row["budget_id"], row["minute"], row["period_start"])
                assert key not in found, "a key has one row"
                found[key] = {name: row[name] for name in COUNTED}
    return found


@settings(max_examples=100)
@given(cases())
def test_rows_are_those_of_plain_loops(case: tuple[list[Budget], list[dict[str, Any]]]) -> None:
    budgets, events = case
    assert tallied(budgets, events) == brute_force(budgets, events)


@pytest.mark.parametrize(("zone", "turn"), TURNS)
@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "quarter"])
def test_periods_follow_each_other_without_a_gap(zone: str, turn: datetime, period: Period) -> None:
    """Around a turn, every quarter of an hour lies in one period, which ends where the next begins."""
    one = Budget(id="b", limit=Decimal(1), period=period, time_zone=zone)
    for number in range(-12, 12):
        at = turn + number * QUARTER
        found = period_of(one, (at - EPOCH) // timedelta(microseconds=1))
        assert found is not None
        assert EPOCH + timedelta(microseconds=found.start_us) == walk(one, at, -QUARTER)
        assert EPOCH + timedelta(microseconds=found.end_us) == walk(one, at, QUARTER) + QUARTER


def test_a_budget_of_several_departments_has_one_row() -> None:
    scope = Scope(department="all", within=("all", "d0", "d1"), role="r0")
    budgets = [
        Budget(id="wide", scope=scope, limit=Decimal(1), period="day"),
        Budget(id="cells", scope=Scope(department="all", within=("all", "d0", "d1")), limit=Decimal(1), period="day"),
    ]
    events = [
        {"occurred_at": 0, "src_partition": 0, "department": name, "role": "r0", "status": "ok", "late": False}
        | {"input_tokens": 1, "cost_nanousd": 1, "provisional_nanousd": 0}
        for name in ("d0", "d1", "all", "d2")
    ]
    found = tallied(budgets, events)
    assert {key[1]: sums["calls"] for key, sums in found.items()} == {"wide": 3, "cells": 3}
    assert set(COUNTED) <= set(MEASURES)

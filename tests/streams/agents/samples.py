"""Tallies, messages and budgets for tests, with everything defaulted that a test does not speak of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Scope
from schemas.control.periods import MINUTE_US, running_period
from schemas.control.records import ControlRecord, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.positions import Headers, Mark, SourceRange, version_header
from schemas.tallies import MEASURES, TALLIES
from streams.agents.tally_message import TallyMessage

NANO = 1_000_000_000


def us(text: str) -> int:
    """µs of an RFC 3339 time."""
    from datetime import datetime

    return moment_us(datetime.fromisoformat(text))


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    listed = list(rows)
    columns = {
        field.name: pa.array(
            [row.get(field.name, 0 if field.name in MEASURES else None) for row in listed], type=field.type
        )
        for field in TALLIES
    }
    return pa.table(columns, schema=TALLIES)


def cell(at_us: int, team: str = "search", **sums: Any) -> dict[str, Any]:
    return {"team_id": team, "minute": at_us // MINUTE_US, "calls": 1, **sums}


def budget_row(budget: Budget, at_us: int, usd: str = "0", **sums: Any) -> dict[str, Any]:
    """One row of a budget: `usd` spent at that time."""
    return {
        "budget_id": budget.id,
        "budget_rule": budget.rule,
        "period_start": running_period(budget, at_us).start_minute,
        "minute": at_us // MINUTE_US // 15 * 15,
        "calls": 1,
        "cost_nanousd": int(Decimal(usd) * NANO),
        **sums,
    }


def budget(budget_id: str = "b", limit: str = "100", **more: Any) -> Budget:
    fields: dict[str, Any] = {
        "id": budget_id,
        "scope": Scope(team="search"),
        "limit": Decimal(limit),
        "period": "month",
    }
    return Budget(**(fields | more))


def control(*records: ControlRecord, position: int | None = None) -> ControlSnapshot:
    """A snapshot at `position` whose records stand at the offsets right before it."""
    keyed = {record_key(record): record for record in records}
    end = len(records) if position is None else position
    return ControlSnapshot(end, keyed, {key: end - len(records) + at for at, key in enumerate(keyed)})


def message(
    offset: int,
    first: int,
    next_: int,
    at_us: int | None,
    rows: Iterable[Mapping[str, Any]] = (),
    *,
    partition: int = 0,
    part: int = 0,
    parts: int = 1,
    kind: str = "range",
    control: int = 1,
    watermark_us: int | None = None,
    append_us: int | None = None,
) -> TallyMessage:
    """A message whose newest event is at `at_us`; the watermark follows two minutes behind."""
    listed = list(rows)
    behind = None if at_us is None else at_us - 120_000_000
    mark = Mark(
        "idle" if kind == "idle" else "range",
        behind if watermark_us is None else watermark_us,
        at_us,
        at_us if append_us is None else append_us,
        control,
    )
    return TallyMessage(
        offset, SourceRange(partition, first, next_, part, parts), mark, table(listed) if listed else None
    )


def idle(offset: int, position: int, at_us: int | None, *, partition: int = 0, control: int = 1) -> TallyMessage:
    return message(offset, position, position, at_us, partition=partition, kind="idle", control=control)


def wire(told: TallyMessage) -> tuple[Headers, bytes]:
    """Headers and value as enrich writes them."""
    headers: Headers = [version_header(), told.range.header(), told.mark.header()]
    if told.table is None:
        return headers, b""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, told.table.schema) as writer:
        writer.write_table(told.table)
    return headers, bytes(sink.getvalue())

"""In: source offsets of one log. Out: what accepted events before them used, for agents that are rebuilt.

Honours the agents' Protocol `UsageHistory` by shape, without importing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import pyarrow as pa

from runtime.clock import Clock, SystemClock
from schemas.tallies import CELL_DIMENSIONS
from sinks.database import Database, read_sql
from sinks.events.ledger import chain_end
from sinks.reconcile.asking import ask
from sinks.reconcile.gaps import find_gaps
from sinks.reconcile.scope import LogScope, kept_since_us, scopes
from sinks.recovery.bases import SELECTORS

_WINDOW_US: Final = {"minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000, "month": 0}
_MEASURES: Final = (
    "calls",
    "errors",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "cost_nanousd",
    "provisional_nanousd",
)
_TEAMS: Final = pa.schema([("team_id", pa.utf8()), ("window", pa.int64()), *((name, pa.int64()) for name in _MEASURES)])
_BUDGET: Final = pa.schema(
    [
        (name, pa.int64())
        for name in ("minute", "calls", "tokens", "cost_nanousd", "provisional_nanousd", "output_tokens")
    ]
)


class ClickHouseHistory:
    """`log`: identity of the log that the offsets count in. Connects at the first question. Not thread-safe."""

    def __init__(self, open_database: Callable[[], Database], log: str, clock: Clock | None = None) -> None:
        self._open, self._log, self._clock = open_database, log, clock or SystemClock()
        self._database: Database | None = None

    @property
    def _asked(self) -> Database:
        if self._database is None:
            self._database = self._open()
        return self._database

    def reaches(self, partition: int) -> int:
        """Up to which source offset the ledger's chain goes; 0 without one."""
        end = chain_end(self._asked, self._log, partition)
        return 0 if end is None else end.applied

    def team_sums(
        self, resolution: Literal["minute", "hour", "day", "month"], first_window: int, before: Mapping[int, int]
    ) -> pa.Table:
        """Columns team_id, window and seven measures."""
        # Months are told apart by their numbers alone: fourteen of them at most are asked for.
        window_us = _WINDOW_US[resolution]
        rows = self._asked.query(
            read_sql("recovery", "history_teams.sql"),
            self._bounds(before, first_window * window_us)
            | {"resolution": resolution, "window_us": max(1, window_us), "first_window": first_window},
        )
        return _table(rows, _TEAMS)

    def budget_sums(
        self, selectors: Mapping[str, tuple[str, ...]], first_minute: int, before: Mapping[int, int]
    ) -> pa.Table:
        """Columns minute, calls, tokens, cost_nanousd, provisional_nanousd and output_tokens."""
        scope: dict[str, Any] = {given: list(selectors.get(name, ())) for name, given in SELECTORS.items()}
        scope["by_event"] = int(bool(selectors.keys() - set(CELL_DIMENSIONS)))
        rows = self._asked.query(
            read_sql("recovery", "history_budget.sql"),
            self._bounds(before, first_minute * _WINDOW_US["minute"]) | scope,
        )
        return _table(rows, _BUDGET)

    def uneven(self, before: Mapping[int, int]) -> list[tuple[int, int, int, int]]:
        """Ranges whose rows are not as many as the ledger and the corrections say, as far back as rows are kept:
        partition, first, next and how many stand too much (negative: too few, as after a resend).
        """
        since_us = kept_since_us(self._asked, self._clock.now_us(), "usage_events_raw", "usage_ledger")
        found = []
        for scope in scopes(self._asked, since_us):
            cut = tuple(
                replace(stretch, next=min(stretch.next, before[stretch.partition]))
                for stretch in scope.stretches
                if stretch.first < before.get(stretch.partition, 0)
            )
            if scope.log != self._log or not cut:
                continue
            below = LogScope(scope.log, cut, scope.whole)
            times = below.times()
            met = [] if times is None else ask(self._asked, "row_hours", **below.places(), **times)
            gaps = find_gaps(self._asked, below, sorted({row[1] for row in met}))
            found += [
                (gap.place.partition, gap.place.first, gap.place.next, gap.difference.rows)
                for gap in gaps
                if gap.difference.rows
            ]
        return found

    def refused(self, before: Mapping[int, int]) -> tuple[int, int]:
        """How many accepted events ClickHouse refused for good, and their cost in nano-USD: no sum here has them."""
        ((events, cost),) = self._asked.query(read_sql("recovery", "history_refused.sql"), self._bounds(before, 0))
        return int(events), int(cost)

    def _bounds(self, before: Mapping[int, int], since_us: int) -> dict[str, Any]:
        return {
            "log": self._log,
            "partitions": list(before),
            "firsts": list(before.values()),
            "since_us": since_us,
        }

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)

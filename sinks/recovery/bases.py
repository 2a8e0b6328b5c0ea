"""In: budgets, by what they count, and source offsets. Out: what accepted events before those offsets used, for agents
that have begun to count in mid-period; or what stands in the way of an exact answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import pyarrow as pa

from runtime.clock import Clock
from sinks.corrections.adjustments import is_written
from sinks.database import Database, read_sql
from sinks.events.ledger import chain_end
from sinks.reconcile.scope import kept_since_us

#: Column of an enriched row -> parameter of the values that match.
SELECTORS: Final = {
    "department": "departments",
    "team_id": "teams",
    "project_id": "projects",
    "use_case": "use_cases",
    "workflow": "workflows",
    "user_hash": "users",
    "role": "roles",
    "stage": "stages",
    "model_class": "model_classes",
    "criticality": "criticalities",
    "data_class": "data_classes",
}
_MINUTE_US: Final = 60_000_000
#: An event's time may lie this far ahead of the broker's, so that much earlier a range may hold events of a period.
AHEAD_US: Final = 86_400_000_000
_MEASURES: Final = ("calls", "tokens", "cost_nanousd", "provisional_nanousd", "output_tokens")
_SCHEMA: Final = pa.schema([(name, pa.int64()) for name in ("minute", *_MEASURES)])
_SUMS: Final = ("calls_sum", "tokens_sum", "cost_sum", "provisional_sum", "output_sum")


@dataclass(frozen=True, slots=True)
class Scoped:
    """One budget: a column and the values that match, for each selector; and the first event minute asked for."""

    selectors: Mapping[str, tuple[str, ...]]
    first_minute: int


@dataclass(frozen=True, slots=True)
class LedgerSpan:
    """Of one partition, its ranges with events of the span that is asked for: offsets [first, next), of which `covered`
    are there; `refused` events of theirs are not. `ledger_first`: where all of its ranges begin.
    """

    partition: int
    ledger_first: int
    ranges: int
    first: int
    next: int
    covered: int
    refused: int

    @property
    def hole(self) -> str | None:
        """What is missing, as half a sentence; None: nothing."""
        if self.ranges and self.covered < self.next - self.first:
            return f"{self.next - self.first - self.covered} offsets of partition {self.partition}"
        if self.ranges and self.first == self.ledger_first > 0:
            return f"partition {self.partition} before offset {self.ledger_first}"
        return None


class BaseSums:
    """`log`: identity of the log that the offsets count in. Raises the driver's errors. Not thread-safe."""

    def __init__(self, database: Database, log: str, clock: Clock) -> None:
        self._database, self._log, self._clock = database, log, clock

    def reaches(self, partition: int) -> int:
        """Up to which source offset the ledger's chain goes; 0 without one."""
        end = chain_end(self._database, self._log, partition)
        return 0 if end is None else end.applied

    def is_written(self, adjustment_id: str, position: int) -> bool:
        """Whether the events of this adjustment are there, whose message stands at that offset."""
        return is_written(self._database, adjustment_id, position)

    def kept_since_us(self) -> int | None:
        """Broker time since when nothing was dropped for its age; None: everything is kept."""
        return kept_since_us(self._database, self._clock.now_us(), "usage_events_raw", "usage_ledger")

    def ledger(self, before: Mapping[int, int], first_minute: int) -> list[LedgerSpan]:
        """What the ledger says of each partition, of ranges that may hold events of that minute or later."""
        rows = self._database.query(
            read_sql("recovery", "base_ledger.sql"),
            self._bounds(before) | {"since_us": first_minute * _MINUTE_US - AHEAD_US},
        )
        return [LedgerSpan(*(int(value) for value in row)) for row in rows]

    def uneven(self, before: Mapping[int, int], control: int, adjusted: int) -> list[tuple[int, int, int, int]]:
        """Ranges beyond that control position that do not hold what was counted of them, as of that offset of
        `usage.adjustments`: partition, first, next and by how many events (below zero: too few).
        """
        bounds = self._bounds(before) | {"control": control}
        lowest = dict(self._database.query(read_sql("recovery", "base_lowest.sql"), bounds))
        if not lowest:
            return []
        lows = [int(lowest.get(partition, 2**62)) for partition in before]
        rows = self._database.query(
            read_sql("recovery", "base_uneven.sql"), bounds | {"lowest": lows, "adjusted": adjusted}
        )
        return [(int(p), int(first), int(after), int(difference)) for p, first, after, difference in rows]

    def sums(self, scoped: Sequence[Scoped], before: Mapping[int, int], adjusted: int) -> list[pa.Table]:
        """For each: `minute` (of the quarter of an hour), calls, tokens, cost_nanousd, provisional_nanousd and
        output_tokens, in order. Budgets that select by the same columns are one question.
        """
        shapes: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, one in enumerate(scoped):
            shapes[tuple(sorted(one.selectors))].append(number)
        found: dict[int, pa.Table] = {}
        for shape, numbers in shapes.items():
            rows = _Rows(shape, self._shape(shape, [scoped[number] for number in numbers], before, adjusted))
            for number in numbers:
                found[number] = rows.of(scoped[number])
        return [found[number] for number in range(len(scoped))]

    def _shape(
        self, shape: Sequence[str], some: Sequence[Scoped], before: Mapping[int, int], adjusted: int
    ) -> pa.Table:
        given: dict[str, Any] = self._bounds(before) | {
            "adjusted": adjusted,
            "since_us": min(one.first_minute for one in some) * _MINUTE_US,
        }
        for column, parameter in SELECTORS.items():
            given[f"by_{column}"] = int(column in shape)
            given[parameter] = sorted({value for one in some for value in one.selectors.get(column, ())})
        return self._database.client.query_arrow(read_sql("recovery", "base_sums.sql"), parameters=given)

    def _bounds(self, before: Mapping[int, int]) -> dict[str, Any]:
        return {"log": self._log, "partitions": list(before), "firsts": list(before.values())}


class _Rows:
    """Rows of one shape, found by their selectors' values."""

    def __init__(self, shape: Sequence[str], rows: pa.Table) -> None:
        self._shape = shape
        self._minutes = _ints(rows, "minute")
        self._sums = np.stack([_ints(rows, name) for name in _SUMS])
        self._places: dict[tuple[str, ...], list[int]] = defaultdict(list)
        columns = [_text(rows[f"{column}_of"]).to_pylist() for column in shape]
        for place, values in enumerate(zip(*columns, strict=True) if columns else [()] * rows.num_rows):
            self._places[values].append(place)

    def of(self, one: Scoped) -> pa.Table:
        """The rows of one budget, summed by quarter of an hour."""
        combinations = product(*(one.selectors[column] for column in self._shape))
        own = np.array([place for values in combinations for place in self._places.get(values, ())], dtype=np.int64)
        own = own[self._minutes[own] >= one.first_minute // 15 * 15]
        quarters, groups = np.unique(self._minutes[own], return_inverse=True)
        sums = np.zeros((len(_SUMS), len(quarters)), np.int64)
        for measure in range(len(_SUMS)):
            np.add.at(sums[measure], groups, self._sums[measure, own])
        return pa.Table.from_arrays([pa.array(quarters, pa.int64()), *(pa.array(row) for row in sums)], schema=_SCHEMA)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.binary()).cast(pa.utf8()) if pa.types.is_binary(column.type) else column.cast(pa.utf8())


def _ints(table: pa.Table, name: str) -> np.ndarray:
    found: np.ndarray = table[name].cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
    return found

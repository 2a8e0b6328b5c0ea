"""In: the ranges offered since the last settlement. Out: their rows as sorted columns: cells per team, sums per
budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streams.agents.arrow_columns import integers, is_null
from streams.agents.names import Names
from streams.agents.spikes.buckets import BUCKET_MINUTES, WIDTH, bucket_keys
from streams.agents.spikes.pairs import Pairs
from streams.agents.sums import group, pack
from streams.agents.watermarks import Moment
from streams.agents.windows import TEAM_MEASURES

#: A cell whose team nobody knows is held under this name.
UNATTRIBUTED: Final = "unattributed"
#: Separates a budget's id from its rule in a name; neither may contain it.
RULE_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Entry:
    """One applied range: its tables and where event time stood before and after it."""

    tables: tuple[pa.Table, ...]
    before: Moment
    after: Moment


@dataclass(frozen=True, slots=True)
class Cells:
    """Per team and minute: keys[n] sorted and distinct, sums[n, TEAM_MEASURES]; and the same per open spike bucket."""

    keys: np.ndarray
    sums: np.ndarray
    bucket_keys: np.ndarray
    bucket_sums: np.ndarray


@dataclass(frozen=True, slots=True)
class BudgetRows:
    """Rows of budgets sorted by (budget and period, entry, quarter hour): sums are calls, tokens, cost, provisional
    cost, output tokens.
    """

    keys: np.ndarray
    order: np.ndarray
    minute: np.ndarray
    sums: np.ndarray

    def of(self, key: int) -> slice:
        first, last = (
            np.searchsorted(self.keys, np.array([key, key], dtype=np.uint64)[0], "left"),
            np.searchsorted(self.keys, np.uint64(key), "right"),
        )
        return slice(int(first), int(last))


def read_rows(
    entries: list[Entry], teams: Names, pairs: Pairs, classes: Names, budgets: Names
) -> tuple[Cells, BudgetRows, int]:
    """All rows of the entries, and how many there were. New names are added to the four `Names`."""
    tables, orders = [], []
    for number, entry in enumerate(entries):
        for table in entry.tables:
            if table.num_rows:
                tables.append(table)
                orders.append(np.full(table.num_rows, number, dtype=np.int32))
    if not tables:
        return _no_cells(), _no_budgets(), 0
    table = pa.concat_tables(tables)
    order = np.concatenate(orders)
    # Source rows and policy rows are read by their own rooms.
    of_team = is_null(table["source"]) & is_null(table["policy_rule"])
    if not of_team.all():
        table, order = table.filter(pa.array(of_team)), order[of_team]
    is_cell = is_null(table["budget_id"])
    limits = np.array([_closed(entry.before) for entry in entries], dtype=np.int64)
    cells = _cells(table.filter(pa.array(is_cell)), limits[order[is_cell]], teams, pairs, classes)
    rows = _budgets(table.filter(pa.array(~is_cell)), order[~is_cell], budgets)
    return cells, rows, table.num_rows


def _closed(moment: Moment) -> int:
    """Number of the first bucket that is still open."""
    return 0 if moment.watermark_us is None else max(0, moment.watermark_us // (BUCKET_MINUTES * 60_000_000))


def _matrix(table: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    matrix = np.empty((table.num_rows, len(names)), dtype=np.int64)
    for column, name in enumerate(names):
        matrix[:, column] = integers(table[name])
    return matrix


def _cells(table: pa.Table, limits: np.ndarray, teams: Names, pairs: Pairs, classes: Names) -> Cells:
    if not table.num_rows:
        return _no_cells()
    team_id = pc.fill_null(table["team_id"].combine_chunks(), UNATTRIBUTED)
    team = teams.numbers(team_id, UNATTRIBUTED)
    pair = pairs.of_rows(team_id, pc.fill_null(table["use_case"].combine_chunks(), ""))
    model_class = classes.numbers(table["model_class"].combine_chunks(), "")
    minute = np.maximum(integers(table["minute"]).astype(np.int64), 0)
    sums = _matrix(table, TEAM_MEASURES)
    keys, totals = group(pack(team, minute), sums)
    bucket = minute // BUCKET_MINUTES
    # A row of a bucket that was already closed when its message came is late: it counts in totals, not in spikes.
    open_rows = bucket >= limits
    measures = np.column_stack([sums[:, :5], sums[:, 5] + sums[:, 6]])
    bucketed = group(bucket_keys(pair, model_class, bucket)[open_rows], measures[open_rows])
    return Cells(keys, totals, *bucketed)


def _budgets(table: pa.Table, order: np.ndarray, budgets: Names) -> BudgetRows:
    whole = is_null(table["sub_key"])
    if not whole.all():
        table, order = table.filter(pa.array(whole)), order[whole]
    if not table.num_rows:
        return _no_budgets()
    named = pc.binary_join_element_wise(table["budget_id"], pc.fill_null(table["budget_rule"], ""), RULE_SEPARATOR)
    keys = pack(
        budgets.numbers(named.combine_chunks(), ""), np.maximum(integers(table["period_start"]).astype(np.int64), 0)
    )
    minute = integers(table["minute"])
    sums = _matrix(table, ("calls", "input_tokens", "cost_nanousd", "provisional_nanousd", "output_tokens"))
    sums[:, 1] += sums[:, 4]
    by = np.lexsort((minute, order, keys))
    return BudgetRows(keys[by], order[by], minute[by], sums[by])


def _no_cells() -> Cells:
    none = np.zeros(0, dtype=np.uint64)
    return Cells(none, np.zeros((0, len(TEAM_MEASURES)), np.int64), none, np.zeros((0, WIDTH), np.int64))


def _no_budgets() -> BudgetRows:
    none = np.zeros(0, dtype=np.int32)
    return BudgetRows(np.zeros(0, dtype=np.uint64), none, none, np.zeros((0, 5), np.int64))

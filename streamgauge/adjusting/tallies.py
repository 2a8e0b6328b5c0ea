"""In: differences to events, and the budgets in force. Out: TALLIES rows: cells by minute and budgets by quarter of an
hour, dated by `booked_at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.control.budgets import Budget
from schemas.tallies import CELL_DIMENSIONS, MEASURES, TALLIES
from streams.enrich.budget_rows import BudgetIndex, BudgetRows
from streams.enrich.cells import Cells, cells_of
from streams.enrich.columns import ints
from streams.enrich.facts import Facts

_MINUTE_US: Final = 60_000_000
#: What a budget can select by.
SELECTABLE: Final = (*CELL_DIMENSIONS, "workflow", "user_hash", "role", "criticality", "data_class")


def tallies_of(deltas: pa.Table, budgets: Iterable[Budget]) -> pa.Table:
    """Sums of `deltas`: columns `booked_at`, SELECTABLE, and any of MEASURES as int64; a missing one is 0.

    They are made as enrich makes them, so that an adjustment lands in the very cells and periods of its events.
    """
    index = BudgetIndex(budgets)
    zero = np.zeros(deltas.num_rows, np.int64)
    measures = np.stack([ints(deltas, name) if name in deltas.column_names else zero for name in MEASURES])
    facts = Facts(zero, ints(deltas, "booked_at") // _MINUTE_US, measures, deltas)
    cells = cells_of(facts)
    return pa.concat_tables([_cell_rows(cells), _budget_rows(index.rows(cells, facts), index)])


def _cell_rows(cells: Cells) -> pa.Table:
    columns = {name: names.column() for name, names in cells.names.items()}
    columns["minute"] = pa.array(cells.minute.astype(np.int32))
    columns |= {name: pa.array(sums) for name, sums in zip(MEASURES, cells.sums, strict=True)}
    return _tallies(columns, len(cells.minute))


def _budget_rows(rows: BudgetRows, index: BudgetIndex) -> pa.Table:
    budget = pa.array(rows.budget)
    columns = {
        "minute": pa.array(rows.minute.astype(np.int32)),
        "budget_id": pa.array(index.ids, pa.utf8()).take(budget),
        "budget_rule": pa.array(index.rules, pa.utf8()).take(budget),
        "period_start": pa.array(rows.period_start.astype(np.int32)),
    }
    columns |= {name: pa.array(sums) for name, sums in zip(MEASURES, rows.sums, strict=True)}
    return _tallies(columns, len(rows.minute))


def _tallies(columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """A TALLIES table of these columns; the others are null."""
    return pa.Table.from_arrays(
        [columns.get(field.name, pa.nulls(rows, field.type)) for field in TALLIES], schema=TALLIES
    )

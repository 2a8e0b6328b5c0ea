"""In: memories of budgets. Out: the table that a checkpoint keeps of them, and back."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from streams.agents.arrow_columns import integers
from streams.agents.forecast.memory import ROW

#: Which layout and meaning the bytes have: version and size. Another one is not read: its budgets learn afresh, and the
#: history is not asked again. Raise the version when a field changes its meaning.
FORECAST_LAYOUT: Final = [1, ROW.itemsize]


def forecasts_table(numbers: np.ndarray, rows: np.ndarray) -> pa.Table:
    """Columns `number` (of the budget in the totals' names) and `row` (the bytes of ROW)."""
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ROW.itemsize), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows).tobytes())]
    )
    return pa.table({"number": pa.array(numbers), "row": binary})


def forecast_rows(table: pa.Table | None) -> tuple[np.ndarray, np.ndarray] | None:
    """The reverse; each checkpoint that has any has all."""
    if table is None:
        return None
    rows = np.frombuffer(b"".join(table["row"].to_pylist()), dtype=ROW).copy()
    return integers(table["number"]).astype(np.int64), rows

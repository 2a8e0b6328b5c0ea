"""In: columns of an Arrow table. Out: each as one array, or as numpy integers; what is whole already is not copied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array; Arrow's own `combine_chunks` copies a single chunk too."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ints(table: pa.Table, name: str) -> Ints:
    """A column of integers or timestamps as int64, nulls as 0."""
    column = whole(table.column(name))
    if column.null_count:
        column = column.fill_null(0)
    if column.type != pa.int64():
        column = column.cast(pa.int64())
    return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

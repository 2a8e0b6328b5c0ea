"""In: Arrow columns without nulls. Out: the same memory as numpy arrays.

By DLPack: it is the one way between the two that never looks for pandas.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def integers(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """An integer column, read-only, without a copy where it is in one chunk. BufferError when it has nulls."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.from_dlpack(array)


def is_null(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """bool[n]: where the column has no value."""
    return integers(pc.is_null(column).cast(pa.uint8())).astype(bool)

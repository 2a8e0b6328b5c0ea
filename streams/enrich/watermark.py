"""In: event times of one input partition, in source order. Out: which rows are late, and the greatest event time so
far.

The measure is the partition's own running maximum, so a replay marks the same rows whatever the batches were. A clock
that runs ahead cannot push it further than the broker's clock plus a tolerance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: How far ahead of its broker time an event may move the watermark: clocks of well-kept machines differ by less.
MAX_SKEW_US = 60_000_000


def mark_late(
    occurred_us: Ints, append_us: Ints, greatest_us: int | None, lateness_us: int
) -> tuple[npt.NDArray[np.bool_], int | None]:
    """(late rows, new greatest event time). A row is late when it lies over `lateness_us` behind the greatest before
    it.
    """
    if len(occurred_us) == 0:
        return np.zeros(0, bool), greatest_us
    capped = np.minimum(occurred_us, append_us + MAX_SKEW_US)
    running = np.maximum.accumulate(capped)
    start = np.iinfo(np.int64).min + lateness_us if greatest_us is None else greatest_us
    before = np.maximum(np.concatenate([[start], running[:-1]]), start)
    return occurred_us < before - lateness_us, int(max(running[-1], start))

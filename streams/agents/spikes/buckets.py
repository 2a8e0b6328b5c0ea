"""In: sums per team, model class and open bucket. Out: what every team used in each bucket as it closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.sums import SumTable, owners, windows

BUCKET_MINUTES: Final = 5
BUCKET_US: Final = BUCKET_MINUTES * 60_000_000
#: Columns of a bucket: calls, tokens (input + output), cost in nano-USD (with provisional), input tokens, cache reads.
CALLS, TOKENS, COST, INPUT, CACHED = range(5)
WIDTH: Final = 5
#: The owner half of a bucket key holds the team and the model class: 20 and 12 bits.
_CLASS_BITS: Final = 12
TEAM_LIMIT: Final = 1 << 20
CLASS_LIMIT: Final = 1 << _CLASS_BITS


def bucket_keys(team: np.ndarray, model_class: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    """uint64 keys of (team, class, bucket)."""
    keys: np.ndarray = (
        (team.astype(np.uint64) << np.uint64(32 + _CLASS_BITS))
        | (model_class.astype(np.uint64) << np.uint64(32))
        | bucket.astype(np.uint64)
    )
    return keys


@dataclass(frozen=True, slots=True)
class ClosedBucket:
    """One closed bucket. `team`, `model_class` [k] and `sums` [k, 5]: one row per team and class that did anything."""

    bucket: int
    team: np.ndarray
    model_class: np.ndarray
    sums: np.ndarray


class OpenBuckets:
    """Sums of buckets that the watermark has not passed."""

    def __init__(self) -> None:
        self.table = SumTable(WIDTH)

    def close(self, first: int, limit: int) -> list[ClosedBucket]:
        """Take out all rows with bucket < limit, one ClosedBucket per bucket that has any, in order from `first`."""
        keys, sums = self.table.all()
        number = windows(keys)
        due = (number < limit) & (number >= first)
        if not due.any():
            self.table.drop_before(limit)
            return []
        keys, sums, number = keys[due], sums[due], number[due]
        by = np.argsort(number, kind="stable")
        keys, sums, number = keys[by], sums[by], number[by]
        owner = owners(keys)
        starts = np.flatnonzero(np.concatenate(([True], number[1:] != number[:-1])))
        ends = np.append(starts[1:], len(number))
        closed = [
            ClosedBucket(
                int(number[a]), owner[a:b] >> _CLASS_BITS, owner[a:b] & (CLASS_LIMIT - 1), sums[a:b].astype(np.float64)
            )
            for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        self.table.drop_before(limit)
        return closed

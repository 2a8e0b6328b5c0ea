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
class ClosedRows:
    """What was done in closed buckets, in bucket order: one row per bucket, team and class; sums[k, 5] as float64."""

    bucket: np.ndarray
    team: np.ndarray
    model_class: np.ndarray
    sums: np.ndarray

    def between(self, first: int, limit: int) -> ClosedRows:
        """The rows of buckets [first, limit)."""
        a, b = np.searchsorted(self.bucket, [first, limit])
        return ClosedRows(self.bucket[a:b], self.team[a:b], self.model_class[a:b], self.sums[a:b])


class OpenBuckets:
    """Sums of buckets that the watermark has not passed."""

    def __init__(self) -> None:
        self.table = SumTable(WIDTH)

    def close(self, limit: int) -> ClosedRows:
        """Take out all rows with bucket < limit."""
        keys, sums = self.table.all()
        number = windows(keys)
        due = np.flatnonzero(number < limit)
        due = due[np.argsort(number[due], kind="stable")]
        owner = owners(keys[due])
        closed = ClosedRows(number[due], owner >> _CLASS_BITS, owner & (CLASS_LIMIT - 1), sums[due].astype(np.float64))
        self.table.drop_before(limit)
        return closed

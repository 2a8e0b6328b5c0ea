"""In: sums per pair of team and use case, model class and bucket. Out: what was used in each bucket as it closes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.agents.sums import SumTable, owners, windows

BUCKET_MINUTES: Final = 5
BUCKET_US: Final = BUCKET_MINUTES * 60_000_000
#: Columns of a bucket: calls, failed calls, input tokens, cache reads, output tokens, nano-USD (with provisional).
CALLS, ERRORS, INPUT, CACHED, OUTPUT, COST = range(6)
WIDTH: Final = 6
#: Buckets that evidence looks back on, half an hour: so long their rows stay after they have closed.
RING: Final = 6
#: The owner half of a bucket key holds the pair and the model class: 20 and 12 bits.
_CLASS_BITS: Final = 12
PAIR_LIMIT: Final = 1 << 20
TEAM_LIMIT: Final = 1 << 20
CLASS_LIMIT: Final = 1 << _CLASS_BITS


def bucket_keys(pair: np.ndarray, model_class: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    """uint64 keys of (pair, class, bucket)."""
    keys: np.ndarray = (
        (pair.astype(np.uint64) << np.uint64(32 + _CLASS_BITS))
        | (model_class.astype(np.uint64) << np.uint64(32))
        | bucket.astype(np.uint64)
    )
    return keys


@dataclass(frozen=True, slots=True)
class BucketRows:
    """What was done, in bucket order: one row per bucket, pair and class; sums[k, WIDTH] as float64."""

    bucket: np.ndarray
    pair: np.ndarray
    model_class: np.ndarray
    sums: np.ndarray

    def between(self, first: int, limit: int) -> BucketRows:
        """The rows of buckets [first, limit)."""
        a, b = np.searchsorted(self.bucket, [first, limit])
        return BucketRows(self.bucket[a:b], self.pair[a:b], self.model_class[a:b], self.sums[a:b])


class OpenBuckets:
    """Sums of buckets that the watermark has not passed, and of the last ones that it has."""

    def __init__(self) -> None:
        self.table = SumTable(WIDTH)

    def rows(self, limit: int) -> BucketRows:
        """All rows with bucket < limit."""
        keys, sums = self.table.all()
        number = windows(keys)
        due = np.flatnonzero(number < limit)
        due = due[np.argsort(number[due], kind="stable")]
        owner = owners(keys[due])
        return BucketRows(number[due], owner >> _CLASS_BITS, owner & (CLASS_LIMIT - 1), sums[due].astype(np.float64))

    def forget(self, limit: int) -> None:
        """Let go of what no evidence looks back on once bucket `limit` is the next to be judged."""
        self.table.drop_before(limit - RING)

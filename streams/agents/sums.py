"""In: (key, sums) rows in any order. Out: one row of sums per key, held as columns and changed in place.

A key is a uint64: whose it is in the upper 32 bits, which window in the lower 32. Rows stand sorted in a large `main`
part and a small `tail` that takes new keys, so that an addition costs a binary search and a new key never moves the
whole table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: A tail beyond this, and beyond an eighth of main, is merged: insertion then costs O(1) copies a row in the long run.
_TAIL_ROWS = 4_096
WINDOW_BITS = np.uint64(32)
_WINDOW = np.uint64(0xFFFF_FFFF)


def pack(owner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """uint64 keys from owner numbers and window numbers (both below 2**32)."""
    keys: np.ndarray = (owner.astype(np.uint64) << WINDOW_BITS) | window.astype(np.uint64)
    return keys


def owners(keys: np.ndarray) -> np.ndarray:
    found: np.ndarray = (keys >> WINDOW_BITS).astype(np.int64)
    return found


def windows(keys: np.ndarray) -> np.ndarray:
    found: np.ndarray = (keys & _WINDOW).astype(np.int64)
    return found


def runs(sorted_keys: np.ndarray) -> np.ndarray:
    """Where each run of equal keys starts."""
    starts: np.ndarray = np.flatnonzero(np.concatenate(([True], sorted_keys[1:] != sorted_keys[:-1])))
    return starts


def group(keys: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys in order and the sums of their rows."""
    if not len(keys):
        return keys, sums
    order = np.argsort(keys, kind="stable")
    return group_sorted(keys[order], sums[order])


def group_sorted(keys: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `group`, for keys that are already in order."""
    if not len(keys):
        return keys, sums
    starts = runs(keys)
    return keys[starts], np.add.reduceat(sums, starts, axis=0)


class SumTable:
    """int64 sums[n, width] under sorted uint64 keys[n], and which keys changed since the last checkpoint."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._keys = np.zeros(0, dtype=np.uint64)
        self._sums = np.zeros((0, width), dtype=np.int64)
        self._tail_keys = np.zeros(0, dtype=np.uint64)
        self._tail_sums = np.zeros((0, width), dtype=np.int64)
        self._changed: list[np.ndarray] = []
        self._pruned_at = 0

    def __len__(self) -> int:
        return len(self._keys) + len(self._tail_keys)

    def add(self, keys: np.ndarray, sums: np.ndarray) -> None:
        """Add sums[n, width] under distinct sorted keys[n]."""
        if not len(keys):
            return
        self._changed.append(keys)
        missing = self._add_to(self._keys, self._sums, keys, sums)
        if missing is None:
            return
        keys, sums = keys[missing], sums[missing]
        missing = self._add_to(self._tail_keys, self._tail_sums, keys, sums)
        if missing is None:
            return
        self._tail_keys, self._tail_sums = _merge(self._tail_keys, self._tail_sums, keys[missing], sums[missing])
        if len(self._tail_keys) > max(_TAIL_ROWS, len(self._keys) // 8):
            self._fold_tail()

    @staticmethod
    def _add_to(own: np.ndarray, own_sums: np.ndarray, keys: np.ndarray, sums: np.ndarray) -> np.ndarray | None:
        """Add where the key is known; the mask of unknown ones, or None when there are none."""
        if not len(own):
            return np.ones(len(keys), dtype=bool)
        at = np.searchsorted(own, keys)
        known = own[np.minimum(at, len(own) - 1)] == keys
        own_sums[at[known]] += sums[known]
        return None if known.all() else ~known

    def _fold_tail(self) -> None:
        self._keys, self._sums = _merge(self._keys, self._sums, self._tail_keys, self._tail_sums)
        self._tail_keys, self._tail_sums = self._tail_keys[:0], self._tail_sums[:0]

    def get(self, keys: np.ndarray) -> np.ndarray:
        """int64[n, width]; zeros for a key that is not there."""
        found = np.zeros((len(keys), self.width), dtype=np.int64)
        for own, sums in ((self._keys, self._sums), (self._tail_keys, self._tail_sums)):
            if len(own) and len(keys):
                at = np.minimum(np.searchsorted(own, keys), len(own) - 1)
                known = own[at] == keys
                found[known] = sums[at[known]]
        return found

    def put(self, keys: np.ndarray, sums: np.ndarray) -> None:
        """Set full values under distinct sorted keys: restoring, or correcting a row."""
        self.add(keys, sums - self.get(keys))

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every row in key order. The arrays are the table's own: do not write to them."""
        self._fold_tail()
        return self._keys, self._sums

    def owner_rows(self, owner: int) -> tuple[np.ndarray, np.ndarray]:
        """Window numbers and sums of one owner."""
        keys, sums = self.all()
        first, last = np.searchsorted(keys, [np.uint64(owner << 32), np.uint64((owner + 1) << 32)])
        return windows(keys[first:last]), sums[first:last]

    def drop_before(self, window: int, slack: int = 0) -> None:
        """Forget rows whose window number is below `window`; put off while fewer than `slack` windows are due."""
        if window <= self._pruned_at + slack:
            return
        self._pruned_at = window
        keys, sums = self.all()
        kept = windows(keys) >= window
        if not kept.all():
            self._keys, self._sums = keys[kept], sums[kept]

    def drop(self, gone: Callable[[np.ndarray], np.ndarray]) -> None:
        """Forget the rows for whose keys `gone` gives true."""
        keys, sums = self.all()
        kept = ~gone(keys)
        if not kept.all():
            self._keys, self._sums = keys[kept], sums[kept]

    def _known(self, keys: np.ndarray) -> np.ndarray:
        """bool[n]: whether there is a row for the key."""
        known = np.zeros(len(keys), dtype=bool)
        for own in (self._keys, self._tail_keys):
            if len(own) and len(keys):
                known |= own[np.minimum(np.searchsorted(own, keys), len(own) - 1)] == keys
        return known

    def take_changes(self) -> tuple[np.ndarray, np.ndarray]:
        """Full values of the rows changed since the last call, those already forgotten left out."""
        if not self._changed:
            return self._keys[:0], self._sums[:0]
        # One addition's keys are distinct and in order already.
        keys = self._changed[0] if len(self._changed) == 1 else np.unique(np.concatenate(self._changed))
        self._changed.clear()
        keys = keys[(windows(keys) >= self._pruned_at) & self._known(keys)]
        return keys, self.get(keys)

    def take_all(self) -> tuple[np.ndarray, np.ndarray]:
        """Every row, as `take_changes` would give it had all changed."""
        self._changed.clear()
        keys, sums = self.all()
        kept = windows(keys) >= self._pruned_at
        return keys[kept], sums[kept]


def _merge(
    left: np.ndarray, left_sums: np.ndarray, right: np.ndarray, right_sums: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two sorted parts without a common key, as one."""
    if not len(right):
        return left, left_sums
    if not len(left):
        return right, right_sums
    at = np.searchsorted(left, right)
    return np.insert(left, at, right), np.insert(left_sums, at, right_sums, axis=0)

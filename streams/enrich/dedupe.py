"""In: the (source, event id) hashes of a batch. Out: which rows are resends, which claim an id that another event has.

Each input partition keeps a window of what it accepted: sixteen bytes an id, in sorted numpy segments that are merged
like an LSM tree. No Python object per id. A window is the fold of the fingerprint log: replaying the log gives the
same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.enrich.hashing import Hashes

Verdicts = npt.NDArray[np.int8]
#: A row is accepted, a resend of an accepted event, or another event under the id of an accepted one.
ACCEPTED, DUPLICATE, CONFLICT = np.int8(0), np.int8(1), np.int8(2)

_US_PER_MINUTE = 60_000_000
_MINUTE_BITS = np.uint64(24)
_MINUTE_MASK = np.uint64((1 << 24) - 1)


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is remembered of accepted events: `ids`, and in `notes` 40 bits of content hash above 24 of broker minute.

    24 bits of minutes since the epoch last until 2001 + 31 years at a time; differences across the turn are not met
    within a horizon of days.
    """

    ids: Hashes
    notes: Hashes

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Fingerprints:
        return Fingerprints(self.ids[rows], self.notes[rows])


def fingerprints(ids: Hashes, contents: Hashes, append_us: npt.NDArray[np.int64]) -> Fingerprints:
    """Pack the hashes of a batch with the broker minute of each row."""
    minutes = (append_us // _US_PER_MINUTE).astype(np.uint64) & _MINUTE_MASK
    return Fingerprints(ids, (contents & ~_MINUTE_MASK) | minutes)


def _same_content(left: Hashes, right: Hashes) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = (left >> _MINUTE_BITS) == (right >> _MINUTE_BITS)
    return same


class Window:
    """The accepted ids of one input partition, by broker time and by count.

    A remembered id counts for `horizon_us` of broker time after its own; the test is by the row's own broker minute, so
    that it does not matter how segments were merged.
    """

    def __init__(self, horizon_us: int, max_ids: int) -> None:
        self._horizon_minutes = np.uint64(max(1, horizon_us // _US_PER_MINUTE))
        self._max_ids = max_ids
        self._segments: list[Fingerprints] = []
        self._newest_minute = np.uint64(0)

    def __len__(self) -> int:
        return sum(len(segment) for segment in self._segments)

    @property
    def nbytes(self) -> int:
        return sum(segment.ids.nbytes + segment.notes.nbytes for segment in self._segments)

    def judge(self, batch: Fingerprints) -> Verdicts:
        """Verdict on each row of a batch in source order, against the window and against earlier rows. Changes
        nothing.
        """
        verdicts = np.zeros(len(batch), np.int8)
        order = np.argsort(batch.ids, kind="stable")
        ids, notes = batch.ids[order], batch.notes[order]
        repeats = np.zeros(len(batch), bool)
        if len(batch) > 1:
            repeats[1:] = ids[1:] == ids[:-1]
        firsts = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(batch))))
        known = np.zeros(len(batch), bool)
        known_notes = np.zeros(len(batch), np.uint64)
        for segment in self._segments:
            at = np.searchsorted(segment.ids, ids)
            at[at == len(segment)] = 0
            hit = (segment.ids[at] == ids) & self._in_horizon(segment.notes[at], notes)
            known_notes[hit] = segment.notes[at[hit]]
            known |= hit
        # A repeat within the batch is held against the first of its id: against the window's, where that is known.
        against = np.where(known[firsts], known_notes[firsts], notes[firsts])
        seen = repeats | known
        verdicts[order[seen]] = np.where(_same_content(against[seen], notes[seen]), DUPLICATE, CONFLICT)
        return verdicts

    def add(self, accepted: Fingerprints) -> None:
        """Remember accepted rows. Two segments merge while the older is less than twice the newer: n log n in all."""
        if len(accepted) == 0:
            return
        self._newest_minute = max(self._newest_minute, (accepted.notes & _MINUTE_MASK).max())
        self._segments.append(_sorted(accepted))
        while len(self._segments) > 1 and len(self._segments[-2]) < 2 * len(self._segments[-1]):
            newer, older = self._segments.pop(), self._segments.pop()
            self._segments.append(self._merged(older, newer))
        if len(self) > self._max_ids:
            self._forget_oldest()

    def horizon_minutes_held(self) -> int:
        """How many minutes of broker time the window reaches back from its newest id."""
        oldest = min(
            (int((segment.notes & _MINUTE_MASK).min()) for segment in self._segments), default=int(self._newest_minute)
        )
        return int(self._newest_minute) - oldest

    def _in_horizon(self, remembered: Hashes, rows: Hashes) -> npt.NDArray[np.bool_]:
        # Unsigned difference modulo 2^24: a row older than what is remembered wraps to a huge number, and still counts.
        age = ((rows & _MINUTE_MASK) - (remembered & _MINUTE_MASK)) & _MINUTE_MASK
        return (age <= self._horizon_minutes) | (age > _MINUTE_MASK // np.uint64(2))

    def _merged(self, older: Fingerprints, newer: Fingerprints) -> Fingerprints:
        both = Fingerprints(np.concatenate([older.ids, newer.ids]), np.concatenate([older.notes, newer.notes]))
        age = (self._newest_minute - (both.notes & _MINUTE_MASK)) & _MINUTE_MASK
        # An id that expired may have come again; of two equal ids only the newer can count.
        return _sorted(both.take((age <= self._horizon_minutes) | (age > _MINUTE_MASK // np.uint64(2))))

    def _forget_oldest(self) -> None:
        whole = Fingerprints(
            np.concatenate([segment.ids for segment in self._segments]),
            np.concatenate([segment.notes for segment in self._segments]),
        )
        minutes = whole.notes & _MINUTE_MASK
        # A tenth more than needed, so that the next batches do not sort everything again.
        keep = int(self._max_ids * 0.9)
        bound = np.partition(minutes, len(minutes) - keep)[len(minutes) - keep]
        self._segments = [_sorted(whole.take(minutes >= bound))] if keep else []


def _sorted(rows: Fingerprints) -> Fingerprints:
    order = np.argsort(rows.ids, kind="stable")
    return Fingerprints(rows.ids[order], rows.notes[order])

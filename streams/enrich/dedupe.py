"""In: the (source, event id) hashes of a batch. Out: which rows are resends, which claim an id that another event has.

Each input partition keeps a window of what it accepted: sixteen bytes an id, in sorted numpy segments that are merged
like an LSM tree. No Python object per id. What a window answers depends on what was added alone, not on how segments
were merged or when old ids left memory: folding the fingerprint log again gives the same answers.
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
_MASK = (1 << 24) - 1
_MINUTE_MASK = np.uint64(_MASK)
#: Minutes are compared modulo 2^24 (32 years): a difference above half of that is a negative one.
_HALF = _MASK // 2


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What is remembered of accepted events: `ids`, and in `notes` 40 bits of content hash above 24 of minute."""

    ids: Hashes
    notes: Hashes

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Fingerprints:
        return Fingerprints(self.ids[rows], self.notes[rows])


def fingerprints(ids: Hashes, contents: Hashes, append_us: npt.NDArray[np.int64]) -> Fingerprints:
    """Pack the hashes of a batch with the broker minute of each row."""
    minutes = (append_us // _US_PER_MINUTE).astype(np.uint64) & _MINUTE_MASK
    return Fingerprints(ids, (contents & ~_MINUTE_MASK) | minutes)


class Window:
    """The accepted ids of one input partition, by broker time and by count.

    A remembered id counts for `horizon_us` of broker time after its own, in whole minutes and by the row's own broker
    minute. Beyond `max_ids` the oldest minutes stop counting; the newest minute always counts. Memory: 16 bytes an id,
    for at most a quarter more ids than count.
    """

    def __init__(self, horizon_us: int, max_ids: int) -> None:
        self._horizon = max(1, horizon_us // _US_PER_MINUTE)
        self._max_ids = max_ids
        self._segments: list[Fingerprints] = []
        #: Ids accepted by broker minute, within the horizon of the newest; also those already dropped from memory.
        self._counts: dict[int, int] = {}
        self._total = 0
        self._newest: int | None = None
        #: The oldest minute that counts, where the number of ids decides; None: the horizon alone decides.
        self._floor: int | None = None
        #: How many ids count.
        self._counting = 0

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
        order, repeats = _by_id(batch.ids)
        ids, notes = batch.ids[order], batch.notes[order]
        known = np.zeros(len(batch), bool)
        known_notes = np.zeros(len(batch), np.uint64)
        for segment in self._segments:
            at = np.searchsorted(segment.ids, ids)
            at[at == len(segment)] = 0
            hit = np.flatnonzero(segment.ids[at] == ids)
            if len(hit):
                hit = hit[self._counts_for(segment.notes[at[hit]], notes[hit])]
                known_notes[hit] = segment.notes[at[hit]]
                known[hit] = True
        if not known.any() and not repeats.any():
            return verdicts
        # A repeat within the batch is held against the first of its id: against the window's, where that is known.
        firsts = np.maximum.accumulate(np.where(repeats, 0, np.arange(len(batch))))
        against = np.where(known[firsts], known_notes[firsts], notes[firsts])
        seen = repeats | known
        verdicts[order[seen]] = np.where(_same_content(against[seen], notes[seen]), DUPLICATE, CONFLICT)
        for first in np.unique(firsts[repeats & ~self._in_horizon(against, notes)]).tolist():
            run = np.flatnonzero(firsts == first)
            verdicts[order[run]] = self._judge_in_turn(notes[run], known_notes[first] if known[first] else None)
        return verdicts

    def add(self, accepted: Fingerprints) -> None:
        """Remember accepted rows. Two segments merge while the older is less than twice the newer: n log n in all."""
        if len(accepted) == 0:
            return
        self._count(accepted)
        self._segments.append(_sorted(accepted))
        while len(self._segments) > 1 and len(self._segments[-2]) < 2 * len(self._segments[-1]):
            newer, older = self._segments.pop(), self._segments.pop()
            self._segments.append(_merged(self._without_expired(older), newer))
        if len(self) > self._counting * 5 // 4:
            merged = self._without_expired(self._segments.pop())
            while self._segments:
                merged = _merged(self._without_expired(self._segments.pop()), merged)
            self._segments = [merged]

    def horizon_minutes_held(self) -> int:
        """How many minutes of broker time the window reaches back from its newest id."""
        if self._newest is None:
            return 0
        oldest = max(_age(self._newest, minute) for minute in self._counts)
        return oldest if self._floor is None else min(oldest, _age(self._newest, self._floor))

    def _judge_in_turn(self, notes: Hashes, remembered: np.uint64 | None) -> list[np.int8]:
        """Rows of one id that reach over the horizon within one batch: the id may be free again for a later one."""
        verdicts = []
        held = None if remembered is None else int(remembered)
        for note in notes.tolist():
            age = None if held is None else _age(note, held)
            if held is not None and age is not None and (age <= self._horizon or age > _HALF):
                verdicts.append(DUPLICATE if note >> 24 == held >> 24 else CONFLICT)
            else:
                verdicts.append(ACCEPTED)
                held = note
        return verdicts

    def _counts_for(self, remembered: Hashes, rows: Hashes) -> npt.NDArray[np.bool_]:
        """Whether remembered ids still count when rows of the same id come."""
        counts: npt.NDArray[np.bool_] = self._in_horizon(remembered, rows)
        if self._floor is not None:
            counts &= ((remembered - np.uint64(self._floor)) & _MINUTE_MASK) <= _HALF
        return counts

    def _in_horizon(self, remembered: Hashes, rows: Hashes | np.uint64) -> npt.NDArray[np.bool_]:
        # A row older than what is remembered still counts: its age wraps to a number above half.
        age = (rows - remembered) & _MINUTE_MASK
        within: npt.NDArray[np.bool_] = (age <= self._horizon) | (age > _HALF)
        return within

    def _count(self, accepted: Fingerprints) -> None:
        minutes, counts = np.unique(accepted.notes & _MINUTE_MASK, return_counts=True)
        before = self._newest
        for minute, count in zip(minutes.tolist(), counts.tolist(), strict=True):
            self._counts[minute] = self._counts.get(minute, 0) + count
            self._total += count
            if self._newest is None or 0 < _age(minute, self._newest) <= _HALF:
                self._newest = minute
        assert self._newest is not None
        if self._newest != before:
            for minute in [minute for minute in self._counts if self._horizon < _age(self._newest, minute) <= _HALF]:
                self._total -= self._counts.pop(minute)
        if self._total > self._max_ids:
            self._floor, self._counting = self._oldest_that_counts(self._newest)
        else:
            self._floor, self._counting = None, self._total

    def _oldest_that_counts(self, newest: int) -> tuple[int, int]:
        """The oldest minute down to which there are at most `max_ids`, and at least the newest; how many those are."""
        floor, counting = newest, 0
        # An id dated after the newest cannot be: the newest is the greatest.
        for minute in sorted(self._counts, key=lambda minute: _age(newest, minute)):
            if counting and counting + self._counts[minute] > self._max_ids:
                break
            floor, counting = minute, counting + self._counts[minute]
        return floor, counting

    def _without_expired(self, segment: Fingerprints) -> Fingerprints:
        """A segment without what can never count again."""
        counts = self._counts_for(segment.notes, np.full(1, self._newest or 0, np.uint64))
        return segment if counts.all() else segment.take(counts)


def _age(later: int, earlier: int) -> int:
    return (later - earlier) & _MASK


def _same_content(left: Hashes, right: Hashes) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = (left >> _MINUTE_BITS) == (right >> _MINUTE_BITS)
    return same


def _sorted(rows: Fingerprints) -> Fingerprints:
    """By id; of equal ids only the last is kept: an id that was accepted again had expired before."""
    order, repeats = _by_id(rows.ids)
    if repeats.any():
        order = order[~np.append(repeats[1:], False)]
    return rows.take(order)


def _by_id(ids: Hashes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The rows in the order of their ids, equal ones as they came; and which of these repeat the id before."""
    order = np.argsort(ids)
    repeats = np.zeros(len(ids), bool)
    repeats[1:] = ids[order[1:]] == ids[order[:-1]]
    # The quick sort mixes equal ids up; few batches have any.
    return (np.argsort(ids, kind="stable") if repeats.any() else order), repeats


def _merged(older: Fingerprints, newer: Fingerprints) -> Fingerprints:
    """One segment of two; of an id in both, the newer note."""
    if len(older) == 0 or len(newer) == 0:
        return older if len(newer) == 0 else newer
    places = np.searchsorted(older.ids, newer.ids)
    again = older.ids[np.minimum(places, len(older) - 1)] == newer.ids
    if again.any():
        left = np.ones(len(older), bool)
        left[places[again]] = False
        return _merged(older.take(left), newer)
    places += np.arange(len(newer))
    from_older = np.ones(len(older) + len(newer), bool)
    from_older[places] = False
    return Fingerprints(
        _woven(older.ids, newer.ids, from_older, places), _woven(older.notes, newer.notes, from_older, places)
    )


def _woven(older: Hashes, newer: Hashes, from_older: npt.NDArray[np.bool_], places: npt.NDArray[np.intp]) -> Hashes:
    out = np.empty(len(from_older), np.uint64)
    out[from_older], out[places] = older, newer
    return out

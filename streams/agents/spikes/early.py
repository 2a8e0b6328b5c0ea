"""In: a bucket that is open, or has just closed. Out: episodes of what is plain in it by itself.

A bound that was fixed an hour before, and sums that only grow: what is said of an open bucket is said after its close
as well. Its id is made of the half hour, so that of two open buckets in a row, both plain, either may come first. (Only
where a use case is plain in the later one before the rest of its team is in the other are both told, and a replay tells
the team alone.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.agents.spikes.baseline import HOUR, Usual, usual
from streams.agents.spikes.book import EpisodeBook
from streams.agents.spikes.buckets import CALLS, COST, RING, BucketRows
from streams.agents.spikes.evidence import plain_measure
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import Scene
from streams.agents.spikes.told import Told

#: An open bucket that follows another open one is judged only where none of the last two closed ones stood out, so that
#: the one between cannot begin an episode once it has closed, unless it is plain itself.
_LAST_TWO: Final = 0b11


class EarlyWatch:
    """Begins episodes of buckets that need not be over."""

    def __init__(self, policy: SpikePolicy, roster: Roster, book: EpisodeBook) -> None:
        self._policy, self._roster, self._book = policy, roster, book

    def judge_open(self, first: int, rows: BucketRows, scene_of: Callable[[BucketRows], Scene], told: Told) -> None:
        """What the first open bucket holds so far, and the one after it where nothing can come between."""
        for bucket in (first, first + 1) if _names(first) == _names(first + 1) else (first,):
            here = rows.between(bucket, bucket + 1)
            # A pair of a team that was never seen before has no bound either.
            here = _chosen(here, self._roster.team_row[here.pair] >= 0)
            if len(here.bucket):
                known = usual(self._roster.rows, bucket // HOUR)
                self.judge(bucket, first, self._roster.used(here), known, scene_of(here), told)

    def judge(self, bucket: int, first: int, used: np.ndarray, known: Usual, scene: Scene, told: Told) -> None:
        """Begin episodes of what is plain in one bucket. Of a team counts only what no use case of its own row makes,
        so that each call is held against one bound and their order does not matter. `first`: the first open bucket;
        used[n, WIDTH].
        """
        roster, book = self._roster, self._book
        expected = known.calls[:, bucket % HOUR, None] * known.ratio * (roster.rows["first"] >= 0)[:, None]
        for row in self._plain(used, bucket // HOUR - first // HOUR):
            if book.is_open_after(row, bucket):
                book.begin_sooner(row, scene.so_far(row, bucket, used[row], expected))
                continue
            if book.has(row) or book.is_told(row) or bucket < roster.running["ended"][row]:
                continue
            if roster.running["adopt"][row, CALLS] > 0 or (bucket > first and self._may_begin_before(row)):
                continue
            sums = scene.so_far(row, bucket, used[row], expected)
            measure = plain_measure(sums.observed, sums.expected)
            book.begin(row, measure, bucket, sums, scene, told, strength=1.0, since=_names(bucket))

    def _plain(self, used: np.ndarray, later: int) -> list[int]:
        """Rows above their bound of this hour or (`later` 1) of the next one, in the order of their names."""
        roster, bound = self._roster, self._roster.running["early"][:, later]
        alone = used[:, [CALLS, COST]].copy()
        # A use case that has no bound yet is its team's matter.
        child = np.flatnonzero((roster.parent >= 0) & np.isfinite(bound))
        np.subtract.at(alone, roster.parent[child], used[child][:, [CALLS, COST]])
        plain = np.flatnonzero((alone[:, 1] > bound) & (alone[:, 0] >= self._policy.early_calls)).tolist()
        return sorted(plain, key=lambda row: roster.names.texts[row])

    def _may_begin_before(self, row: int) -> bool:
        """Whether the open bucket before may begin an episode of the same rise."""
        roster = self._roster
        related = [row, *roster.children.get(row, ()), *([int(roster.parent[row])] if roster.parent[row] >= 0 else [])]
        hits = roster.running["hits"][related] & _LAST_TWO
        return bool(hits.any()) or any(self._book.has(one) for one in related)


def _names(bucket: int) -> int:
    """The bucket that names an episode which begins early in this one."""
    return bucket - bucket % RING


def _chosen(rows: BucketRows, mask: np.ndarray) -> BucketRows:
    return BucketRows(rows.bucket[mask], rows.pair[mask], rows.model_class[mask], rows.sums[mask])

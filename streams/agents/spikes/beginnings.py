"""In: what stands out at a closed bucket. Out: episodes that begin, each with the series whose alert it is.

Use cases come first: when one of them carries most of its team's excess the alert is the use case's, else the team's.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from streams.agents.spikes.book import EpisodeBook
from streams.agents.spikes.buckets import CALLS, RING
from streams.agents.spikes.evidence import Evidence
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import Scene
from streams.agents.spikes.told import Told


class Beginnings:
    """Begins episodes of closed buckets, and leaves out of a team what episodes of its use cases tell."""

    def __init__(self, policy: SpikePolicy, roster: Roster, book: EpisodeBook) -> None:
        self._policy, self._roster, self._book = policy, roster, book

    def begin(self, bucket: int, evidence: Evidence, scene: Scene, told: Told) -> list[int]:
        """Begin episodes; their rows."""
        roster, book = self._roster, self._book
        ripe = roster.ripe(np.arange(len(roster.rows)), self._policy)
        found = np.flatnonzero(ripe & evidence.exceeds.any(axis=1) & (roster.running["adopt"][:, CALLS] == 0)).tolist()
        free = {row for row in found if not book.has(row) and not book.is_told(row)}
        begun: list[int] = []
        for row in sorted(free, key=lambda row: roster.names.texts[row]):
            chosen = self._whose(row, free, ripe, evidence)
            if chosen is None or chosen in begun or book.has(chosen):
                continue
            if roster.parent[chosen] < 0:
                self._merge(chosen, bucket, told)
            begun.append(chosen)
            self._open(chosen, bucket, evidence, scene, told)
        return begun

    def leave_out(self, row: int, bucket: int, sign: int = 1) -> None:
        """Take the excess of a use case's bucket out of its team's, or (`sign` -1) put it back."""
        running, at, team = self._roster.running, bucket % RING, int(self._roster.parent[row])
        excess = running["observed"][row, at] - running["expected"][row, at]
        running["observed"][team, at] = np.maximum(running["observed"][team, at] - sign * excess, 0)

    def _whose(self, row: int, free: Set[int], ripe: np.ndarray, evidence: Evidence) -> int | None:
        """The series whose alert it is when this one rises; None: it is judged with its team."""
        roster, policy, book = self._roster, self._policy, self._book
        parent = int(roster.parent[row])
        if parent in free:
            return None
        if parent >= 0:
            # Where the whole team is about to exceed as well, and others carry as much, it is the team's.
            carries = evidence.excess[row] >= policy.carried * evidence.excess[parent]
            about = ripe[parent] and evidence.strength[parent].max() >= policy.about and not book.has(parent)
            return parent if about and not carries else row
        children = [child for child in roster.children.get(row, ()) if not book.has(child) and ripe[child]]
        first = max(children, key=lambda child: (evidence.excess[child], -child), default=None)
        if first is not None and evidence.excess[first] >= policy.carried * evidence.excess[row] > 0:
            return first
        return row

    def _open(self, row: int, bucket: int, evidence: Evidence, scene: Scene, told: Told) -> None:
        """Begin an episode, from the first of the last four buckets that stood out."""
        running = self._roster.running
        beyond = np.where(evidence.exceeds[row], evidence.strength[row], -np.inf)
        lead = int(np.argmax(beyond if evidence.exceeds[row].any() else evidence.strength[row]))
        length = max(1, int(running["hits"][row, lead] & 0b1111).bit_length())
        start = max(bucket + 1 - length, min(bucket, int(running["ended"][row])))
        sums = scene.sums(row, start, bucket + 1, self._book.aside(row))
        self._book.begin(row, lead, start, sums, scene, told, strength=float(evidence.strength[row, lead]))
        if self._roster.parent[row] >= 0:
            for one in range(start, bucket + 1):
                self.leave_out(row, one)

    def _merge(self, team: int, bucket: int, told: Told) -> None:
        """What began with a team's rise is told by it from here on."""
        for row in sorted(self._book.aside(team)):
            start = self._book.running[self._roster.names.texts[row]].start
            if bucket - start < RING:
                self._book.merge(row, told)
                for one in range(start, bucket + 1):
                    self.leave_out(row, one, -1)

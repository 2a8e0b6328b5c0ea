"""In: a bucket, its rows and those of the half hour before. Out: what one series did in it, beside the usual."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from streams.agents.spikes.baseline import CLASSES
from streams.agents.spikes.buckets import CALLS, COST, INPUT, OUTPUT, RING, WIDTH, BucketRows
from streams.agents.spikes.episode import Sums, summed
from streams.agents.spikes.pairs import SEPARATOR
from streams.agents.spikes.roster import Roster
from streams.agents.sums import SumTable, pack

#: Days whose calls tell what share of a team's usual the use cases have that are not watched by themselves.
DAYS_KEPT = 7
DAY_BUCKETS = 288


@dataclass(frozen=True, slots=True)
class Scene:
    """`rows`: of the buckets that evidence looks back on and, of an open bucket, what there is so far."""

    roster: Roster
    classes: Sequence[str]
    rows: BucketRows
    pair_calls: SumTable

    def sums(self, row: int, first: int, limit: int, aside: Set[int] = frozenset()) -> Sums:
        """One series in the closed buckets [first, limit), none older than the ring. `aside`: rows of its use cases
        that are told of by themselves."""
        whole = self._one(row, first, self._ring(row, first), aside)
        for bucket in range(first + 1, limit):
            whole = whole.plus(self._one(row, bucket, self._ring(row, bucket), aside))
        return whole

    def so_far(self, row: int, bucket: int, observed: np.ndarray, expected: np.ndarray) -> Sums:
        """One series in a bucket that is not over; `expected` by row."""
        return self._one(row, bucket, (observed, expected), frozenset())

    def usual_mix(self, row: int) -> dict[str, list[float]]:
        """Tokens and cost by class, as decayed sums."""
        return self._named(self.roster.rows["mix"][row].astype(np.float64))

    def _ring(self, row: int, bucket: int) -> tuple[np.ndarray, np.ndarray]:
        running = self.roster.running
        return running["observed"][row, bucket % RING], running["expected"][:, bucket % RING].astype(np.float64)

    def _one(self, row: int, bucket: int, both: tuple[np.ndarray, np.ndarray], aside: Set[int]) -> Sums:
        observed, expected = both
        roster, rows = self.roster, self.rows.between(bucket, bucket + 1)
        parent = int(roster.parent[row])
        own = roster.own_row[rows.pair]
        mine = (roster.team_row[rows.pair] if parent < 0 else own) == row
        for child in aside:
            mine &= own != child
        table = np.zeros((CLASSES, 2))
        tokens = rows.sums[mine][:, INPUT] + rows.sums[mine][:, OUTPUT]
        np.add.at(
            table,
            np.minimum(rows.model_class[mine], CLASSES - 1),
            np.stack([tokens, rows.sums[mine][:, COST]], axis=1),
        )
        around = expected[parent] if parent >= 0 else np.zeros(WIDTH)
        return Sums(
            bucket + 1,
            [float(value) for value in observed],
            [float(value) for value in expected[row]],
            self._named(table),
            self._parts(row, bucket, rows, expected, aside) if parent < 0 else {},
            [float(value) for value in around],
        )

    def _named(self, table: np.ndarray) -> dict[str, list[float]]:
        """By class name; classes beyond the last place are `other`."""
        named = min(len(self.classes), CLASSES - 1)
        names = [self.classes[at] if at < named else "other" for at in range(CLASSES)]
        return {
            name: [float(values[0]), float(values[1])]
            for name, values in zip(names, table, strict=True)
            if values.any()
        }

    def _parts(
        self, row: int, bucket: int, rows: BucketRows, expected: np.ndarray, aside: Set[int]
    ) -> dict[str, list[list[float]]]:
        """Observed and expected sums of a team by use case. What no use case of its own row is expected to use is
        shared among the others by their calls of the last days."""
        roster = self.roster
        parts: dict[str, list[list[float]]] = {}
        rest = expected[row].copy()
        for child in roster.children.get(row, ()):
            use_case = roster.names.texts[child].partition(SEPARATOR)[2]
            usual = [float(value) for value in expected[child]]
            rest -= expected[child]
            parts[use_case] = [usual if child in aside else [0.0] * WIDTH, usual]
        rest = np.maximum(rest, 0)
        here = np.flatnonzero(roster.team_row[rows.pair] == row)
        others = []
        for pair in np.unique(rows.pair[here]).tolist():
            own = int(roster.own_row[pair])
            if own in aside:
                continue
            use_case = roster.pairs.texts[pair].partition(SEPARATOR)[2]
            seen = summed(rows.sums[here][rows.pair[here] == pair])
            if own >= 0:
                parts[use_case][0] = seen
            else:
                others.append(pair)
                parts[use_case] = [seen, [0.0] * WIDTH]
        shares = self._recent_calls(others, bucket)
        if shares.sum() > 0:
            for pair, share in zip(others, shares / shares.sum(), strict=True):
                use_case = roster.pairs.texts[pair].partition(SEPARATOR)[2]
                parts[use_case][1] = [float(value) for value in rest * share]
        elif rest[CALLS] > 0 and rest[COST] > 0:
            parts.setdefault("", [[0.0] * WIDTH, [0.0] * WIDTH])[1] = [float(value) for value in rest]
        return parts

    def _recent_calls(self, pairs: Sequence[int], bucket: int) -> np.ndarray:
        """Calls of each pair on the days before the bucket's."""
        day = bucket // DAY_BUCKETS
        days = np.arange(day - DAYS_KEPT, day)
        numbers = np.array(pairs, dtype=np.int64)
        keys = pack(np.repeat(numbers, DAYS_KEPT), np.tile(days, len(pairs)))
        found: np.ndarray = self.pair_calls.get(keys)[:, 0].reshape(len(pairs), DAYS_KEPT).sum(axis=1)
        return found

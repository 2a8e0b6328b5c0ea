"""In: buckets of all teams and use cases of a shard. Out: alerts on episodes as they begin, grow and end.

What a closed bucket is judged by is only its sums and the buckets before it, so any batching of the same log gives the
same alerts. A bucket that is open is judged by its sums so far, which only grow, against a bound that was fixed an hour
before: what it says early is said after the close as well. (Only where two buckets in a row reach that bound, the later
one first, may an episode begin a bucket later than in a replay.)
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import numpy as np

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.planned import planned
from streams.agents.spikes.baseline import ABSENT, CLASSES, HOUR, Usual, adopt, learn, usual
from streams.agents.spikes.book import EpisodeBook, Tell, Told
from streams.agents.spikes.buckets import BUCKET_US, CALLS, COST, INPUT, OUTPUT, RING, WIDTH, BucketRows, OpenBuckets
from streams.agents.spikes.evidence import Evidence, early_cost, note_hits, weigh
from streams.agents.spikes.pairs import Pairs
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.ring import lesson_of, look, note_top, teach
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import DAY_BUCKETS, DAYS_KEPT, Scene
from streams.agents.sums import SumTable, group, pack
from streams.agents.verdicts import Timeline

#: After a day in which nobody of the shard did anything, time is passed over until somebody does: replays of old data
#: followed by today's would otherwise be judged through years of nothing.
_QUIET_BUCKETS: Final = 288
#: An open bucket that follows another open one is judged only where none of the last two closed ones stood out, so that
#: the one between cannot begin an episode.
_LAST_TWO: Final = 0b11


class SpikeWatch:
    """What is learnt and held of each series (a row each in `roster`), open buckets, running episodes."""

    def __init__(self, policy: SpikePolicy, pairs: Pairs, classes: Names, historical_after_us: int) -> None:
        self._policy, self._pairs, self._classes = policy, pairs, classes
        self.buckets = OpenBuckets()
        self.roster = Roster(pairs)
        self.book = EpisodeBook(policy, self.roster, historical_after_us)
        #: Calls by pair and day, of the last week: who is worth a row.
        self.pair_calls = SumTable(1)
        #: The first bucket not judged yet; None before the first use.
        self.next: int | None = None
        self.quiet = 0
        self._known: tuple[int, int, Usual] | None = None
        self._learnt = self._judged = False

    @property
    def tell(self) -> Tell:
        """Makes an alert of a finding."""
        return self.book.tell

    @tell.setter
    def tell(self, tell: Tell) -> None:
        self.book.tell = tell

    def settle(self, timeline: Timeline, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Judge every bucket that the watermark has passed, then those that are open."""
        watermark_us = timeline.last.watermark_us
        if watermark_us is None:
            return []
        limit = watermark_us // BUCKET_US
        if not self._policy.enabled:
            self.buckets.table.drop_before(limit)
            return []
        told = Told(timeline, control, planned(control), now_us, [])
        self.roster.note_pairs()
        if self.next is None or self.next < limit:
            rows = self.buckets.rows(limit)
            if self.next is None:
                if not len(rows.bucket):
                    return []
                self.next = int(rows.bucket[0])
            self._close(limit, rows, told)
            self.buckets.forget(limit)
        self.book.hear_all(told)
        self._judge_open(self.next, told)
        return told.alerts

    def retell(self, one_id: str, control: ControlSnapshot, now_us: int) -> Alert | None:
        """The running episode of that alert, told once more; None when there is none."""
        return self.book.retell(one_id, control, now_us)

    def reconcile(self, told: Mapping[str, Alert], now_us: int) -> list[Alert]:
        """After a rebuild: hold the running episodes against the open alerts, by id."""
        return self.book.reconcile(told, now_us)

    def _close(self, limit: int, rows: BucketRows, told: Told) -> None:
        """Judge buckets [next, limit)."""
        assert self.next is not None
        while self.next < limit:
            hour = self.next // HOUR
            if self._may_pass_over(hour * HOUR, rows, limit):
                self.next = (hour + 1) * HOUR
                continue
            self._judge(self.next, rows, told)
            self.next += 1
            if self.next % HOUR == 0:
                self._end_hour(hour, rows)

    def _may_pass_over(self, first: int, rows: BucketRows, limit: int) -> bool:
        """Whether this hour and the two after are whole, empty, and in a long silence. What a busy hour is judged by
        was fixed an hour before, so both are judged as if every hour had been."""
        return (
            self.quiet >= _QUIET_BUCKETS
            and self.next == first
            and not self.book.running
            and first + 3 * HOUR <= limit
            and not len(rows.between(first, first + 3 * HOUR).bucket)
        )

    def _judge(self, bucket: int, rows: BucketRows, told: Told) -> None:
        """One closed bucket.

        1 take in what was used, 2 what is plain by itself, 3 leave out of teams what episodes of their use cases tell,
        4 weigh, 5 follow episodes, 6 begin new ones, 7 keep for learning, clipped: a spike must not become usual
        by itself, and what was announced teaches nothing.
        """
        self._judged = True
        roster, policy = self.roster, self._policy
        here = rows.between(bucket, bucket + 1)
        self._learnt |= roster.take_teams(here.pair)
        own, running = roster.rows, roster.running
        if not len(own):
            return
        used = self._used(here)  # 1
        self.quiet = 0 if len(here.bucket) else min(self.quiet + 1, _QUIET_BUCKETS)
        fresh = (own["first"] < 0) & (used[:, CALLS] > 0)
        if fresh.any():
            own["first"][fresh] = bucket
            self._learnt = True
        running["silent"] = np.where(used[:, CALLS] > 0, 0, np.minimum(running["silent"] + 1, ABSENT))
        known = self._usual(bucket // HOUR)
        expected = known.calls[:, bucket % HOUR, None] * known.ratio * (own["first"] >= 0)[:, None]
        scene = Scene(roster, self._classes.texts, rows.between(bucket + 1 - RING, bucket + 1), self.pair_calls)
        self._say_early(bucket, bucket, used, expected, scene, told)  # 2
        at = bucket % RING
        running["observed"][:, at], running["expected"][:, at] = used, expected
        for row in self.book.rows():  # 3
            parent = int(roster.parent[row])
            if parent >= 0 and self.book.running[roster.names.texts[row]].start <= bucket:
                self._leave_out(parent, row, bucket, 1)
        seen = look(running, known, bucket)  # 4
        note_hits(running, seen, policy)
        evidence = weigh(own, running, known, seen, policy)
        # What a call of the whole team takes shifts with which of its use cases is at work.
        mixed = [team for team, children in roster.children.items() if self._ripe(children).any()]
        evidence.exceeds[mixed, 1:4] = False
        may = (own["first"] >= 0) & (running["silent"] < ABSENT)
        calm = np.ones(len(own), dtype=bool)
        for row in self.book.rows():  # 5
            if self.book.running[roster.names.texts[row]].start <= bucket:
                if self.book.is_known(row):
                    may[[row, *roster.children.get(row, ())]] = False
                calm[[row, *roster.children.get(row, ())]] = False
                self.book.go_on(row, bucket, scene, evidence, told)
        for row in self._begin(bucket, evidence, scene, told):  # 6
            calm[[row, *roster.children.get(row, ())]] = False
        if told.is_planned(bucket):
            for row in np.flatnonzero(may).tolist():
                may[row] = told.activity(roster.series(row), bucket) is None
        teach(own, running, known, seen, bucket, may)  # 7
        note_top(own, running, evidence.strength, may & calm)
        calls = np.stack([here.sums[:, CALLS]], axis=1).astype(np.int64)
        days = np.full(len(here.pair), bucket // DAY_BUCKETS)
        self.pair_calls.add(*group(pack(here.pair, days), calls))

    def _used(self, rows: BucketRows) -> np.ndarray:
        """Sums of one bucket by series, [n, WIDTH]."""
        used = np.zeros((len(self.roster.rows), WIDTH))
        team, own = self.roster.team_row[rows.pair], self.roster.own_row[rows.pair]
        np.add.at(used, team[team >= 0], rows.sums[team >= 0])
        np.add.at(used, own[own >= 0], rows.sums[own >= 0])
        return used

    def _usual(self, hour: int) -> Usual:
        """What is usual in the running hour. Nothing is learnt within it, so that is worked out once."""
        if self._known is None or self._known[:2] != (hour, len(self.roster.rows)):
            self._known = (hour, len(self.roster.rows), usual(self.roster.rows, hour))
        return self._known[2]

    def _leave_out(self, team: int, row: int, bucket: int, sign: int) -> None:
        """Take the excess of a use case's bucket out of its team's, or (`sign` -1) put it back."""
        running, at = self.roster.running, bucket % RING
        excess = running["observed"][row, at] - running["expected"][row, at]
        running["observed"][team, at] = np.maximum(running["observed"][team, at] - sign * excess, 0)

    def _begin(self, bucket: int, evidence: Evidence, scene: Scene, told: Told) -> list[int]:
        """Begin episodes; their rows. Use cases come first: when one of them carries most of its team's excess the
        alert is the use case's, else the team's."""
        roster = self.roster
        ripe = self._ripe(np.arange(len(roster.rows)))
        found = np.flatnonzero(ripe & evidence.exceeds.any(axis=1) & (roster.running["adopt"][:, CALLS] == 0)).tolist()
        free = {row for row in found if not self.book.has(row) and not self._is_told(row)}
        begun: list[int] = []
        for row in sorted(free, key=lambda row: roster.names.texts[row]):
            chosen = self._whose(row, free, ripe, evidence)
            if chosen is None or chosen in begun or self.book.has(chosen):
                continue
            if roster.parent[chosen] < 0:
                self._merge(chosen, bucket, told)
            begun.append(chosen)
            self._open(chosen, bucket, evidence, scene, told)
        return begun

    def _whose(self, row: int, free: Set[int], ripe: np.ndarray, evidence: Evidence) -> int | None:
        """The series whose alert it is when this one rises; None: it is judged with its team."""
        roster, policy = self.roster, self._policy
        parent = int(roster.parent[row])
        if parent in free:
            return None
        if parent >= 0:
            # Where the whole team is about to exceed as well, and others carry as much, it is the team's.
            carries = evidence.excess[row] >= policy.carried * evidence.excess[parent]
            about = ripe[parent] and evidence.strength[parent].max() >= policy.about and not self.book.has(parent)
            return parent if about and not carries else row
        children = [child for child in roster.children.get(row, ()) if not self.book.has(child) and ripe[child]]
        first = max(children, key=lambda child: (evidence.excess[child], -child), default=None)
        if first is not None and evidence.excess[first] >= policy.carried * evidence.excess[row] > 0:
            return first
        return row

    def _ripe(self, rows: np.ndarray | list[int]) -> np.ndarray:
        """Which of these series have been learnt for long enough."""
        own = self.roster.rows
        ripe: np.ndarray = (own["hours"][rows] >= self._policy.warm_up_hours) & (
            own["calls"][rows] >= self._policy.warm_up_calls
        )
        return ripe

    def _is_told(self, row: int) -> bool:
        """Whether the team's episode tells of this use case."""
        parent = int(self.roster.parent[row])
        return parent >= 0 and self.book.has(parent)

    def _open(self, row: int, bucket: int, evidence: Evidence, scene: Scene, told: Told) -> None:
        """Begin an episode of closed buckets, from the first of the last four that stood out."""
        running = self.roster.running
        beyond = np.where(evidence.exceeds[row], evidence.strength[row], -np.inf)
        lead = int(np.argmax(beyond if evidence.exceeds[row].any() else evidence.strength[row]))
        length = max(1, int(running["hits"][row, lead] & 0b1111).bit_length())
        start = max(bucket + 1 - length, min(bucket, int(running["ended"][row])))
        sums = scene.sums(row, start, bucket + 1, self.book.aside(row))
        strength = float(evidence.strength[row, lead])
        self.book.begin(row, lead, start, sums, scene, told, strength=strength, is_open=False)
        parent = int(self.roster.parent[row])
        if parent >= 0:
            for one in range(start, bucket + 1):
                self._leave_out(parent, row, one, 1)

    def _merge(self, team: int, bucket: int, told: Told) -> None:
        """What began with a team's rise is told by it from here on."""
        for row in sorted(self.book.aside(team)):
            start = self.book.running[self.roster.names.texts[row]].start
            if bucket - start < RING:
                self.book.merge(row, told)
                for one in range(start, bucket + 1):
                    self._leave_out(team, row, one, -1)

    def _judge_open(self, first: int, told: Told) -> None:
        """Open buckets by what they hold so far: the first, and the one after it where nothing can come between."""
        if not len(self.roster.rows):
            return
        rows = self.buckets.rows(first + 2)
        for bucket in (first, first + 1):
            here = rows.between(bucket, bucket + 1)
            # A pair of a team that was never seen before has no bound either.
            here = _chosen(here, self.roster.team_row[here.pair] >= 0)
            if len(here.bucket):
                known = self._usual(bucket // HOUR) if bucket // HOUR == first // HOUR else None
                self._say_open(bucket, first, here, known, told)

    def _say_open(self, bucket: int, first: int, here: BucketRows, known: Usual | None, told: Told) -> None:
        own = self.roster.rows
        used = self._used(here)
        known = known or usual(own, bucket // HOUR)
        expected = known.calls[:, bucket % HOUR, None] * known.ratio * (own["first"] >= 0)[:, None]
        scene = Scene(self.roster, self._classes.texts, here, self.pair_calls)
        self._say_early(bucket, first, used, expected, scene, told)

    def _say_early(
        self, bucket: int, first: int, used: np.ndarray, expected: np.ndarray, scene: Scene, told: Told
    ) -> None:
        """Begin episodes of what is plain in one bucket. Of a team counts only what no use case of its own row makes,
        so that each call is held against one bound and their order does not matter. `first`: the first open bucket."""
        roster, running = self.roster, self.roster.running
        alone = used[:, [CALLS, COST]].copy()
        later = bucket // HOUR - first // HOUR
        # A use case that has no bound yet is its team's matter.
        child = np.flatnonzero((roster.parent >= 0) & np.isfinite(running["early"][:, later]))
        np.subtract.at(alone, roster.parent[child], used[child][:, [CALLS, COST]])
        plain = (alone[:, 1] > running["early"][:, later]) & (alone[:, 0] >= self._policy.early_calls)
        for row in sorted(np.flatnonzero(plain).tolist(), key=lambda row: roster.names.texts[row]):
            if self.book.has(row) or self._is_told(row) or bucket < running["ended"][row]:
                continue
            if running["adopt"][row, CALLS] > 0:
                continue
            if bucket > first and self._may_begin_before(row):
                continue
            sums = scene.so_far(row, bucket, used[row], expected)
            measure = _plain_measure(used[row], expected[row])
            self.book.begin(row, measure, bucket, sums, scene, told, strength=1.0, is_open=True)

    def _may_begin_before(self, row: int) -> bool:
        """Whether the open bucket before may begin an episode of the same rise."""
        roster = self.roster
        related = [row, *roster.children.get(row, ()), *([int(roster.parent[row])] if roster.parent[row] >= 0 else [])]
        hits = roster.running["hits"][related] & _LAST_TWO
        return bool(hits.any()) or any(self.book.has(one) for one in related)

    def _end_hour(self, hour: int, rows: BucketRows) -> None:
        """Learn what the hour has taught, take new series in, fix from which cost on the hour after next is plain."""
        self._learnt = True
        roster, policy = self.roster, self._policy
        last = rows.between((hour + 1) * HOUR - RING, (hour + 1) * HOUR)
        learn(roster.rows, hour, lesson_of(roster.running, self._mix(last)))
        if len(roster.rows):
            roster.running["early"][:, 0] = roster.running["early"][:, 1]
        for row in np.flatnonzero(roster.running["adopt"][:, CALLS]).tolist():
            adopt(roster.rows[row], roster.running["adopt"][row].astype(np.float64))
            roster.running["adopt"][row] = 0
            # The bound of the coming hour was fixed before this was the usual.
            roster.running["early"][row, 0] = np.inf
        day = hour // 24
        self.pair_calls.drop_before(day - DAYS_KEPT)
        candidates = np.unique(last.pair[roster.own_row[last.pair] < 0])
        if len(candidates):
            days = np.arange(day - DAYS_KEPT + 1, day + 1)
            keys = pack(np.repeat(candidates, DAYS_KEPT), np.tile(days, len(candidates)))
            calls = self.pair_calls.get(keys)[:, 0].reshape(len(candidates), DAYS_KEPT).sum(axis=1)
            roster.take_pairs(candidates[calls >= policy.pair_calls].tolist(), policy.pairs_per_team)
        if len(roster.rows):
            roster.running["early"][:, 1] = early_cost(roster.rows, usual(roster.rows, hour + 2), policy)

    def _mix(self, rows: BucketRows) -> np.ndarray:
        """Tokens and cost by class of each series, [n, CLASSES, 2]."""
        mix = np.zeros((len(self.roster.rows), CLASSES, 2))
        values = np.stack([rows.sums[:, INPUT] + rows.sums[:, OUTPUT], rows.sums[:, COST]], axis=1)
        model_class = np.minimum(rows.model_class, CLASSES - 1)
        for row_of in (self.roster.team_row, self.roster.own_row):
            row = row_of[rows.pair]
            np.add.at(mix, (row[row >= 0], model_class[row >= 0]), values[row >= 0])
        return mix

    def take_rows(self, full: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What is learnt and what is held of each series, where it changed since the last call or `full`."""
        learnt, judged = full or self._learnt or self.book.taught, full or self._judged
        self._learnt = self._judged = self.book.taught = False
        return self.roster.rows if learnt else None, self.roster.running if judged else None

    def take_documents(self) -> dict[str, str | None]:
        """Running episodes that changed, as JSON by key; None: ended."""
        return self.book.take_documents()

    def documents(self) -> dict[str, str | None]:
        """All running episodes."""
        return self.book.documents()

    def restore(self, rows: np.ndarray | None, running: np.ndarray | None, documents: Mapping[str, str]) -> None:
        """Go on from what was stored; names and tables were restored before."""
        if rows is not None and running is not None:
            self.roster.restore(rows, running)
        self.book.restore(documents)


def _chosen(rows: BucketRows, mask: np.ndarray) -> BucketRows:
    return BucketRows(rows.bucket[mask], rows.pair[mask], rows.model_class[mask], rows.sums[mask])


def _plain_measure(used: np.ndarray, expected: np.ndarray) -> int:
    """Which measure a plain rise is about: calls, or what a call costs."""
    more = used[CALLS] / max(float(expected[CALLS]), 1e-9)
    dearer = used[COST] / max(float(expected[COST]), 1e-9) / max(more, 1e-9)
    return 0 if more >= dearer else 4

"""In: buckets of all teams and use cases of a shard. Out: alerts on episodes as they begin, grow and end.

What a closed bucket is judged by is only its sums and the buckets before it, so any batching of the same log gives the
same alerts; what is plain in a bucket that is open is told at once (early.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.planned import planned
from streams.agents.spikes.baseline import ABSENT, CLASSES, HOUR, Usual, adopt, learn, usual
from streams.agents.spikes.beginnings import Beginnings
from streams.agents.spikes.book import EpisodeBook
from streams.agents.spikes.buckets import BUCKET_US, CALLS, COST, INPUT, OUTPUT, RING, BucketRows, OpenBuckets
from streams.agents.spikes.early import EarlyWatch
from streams.agents.spikes.evidence import early_cost, note_hits, weigh
from streams.agents.spikes.pairs import Pairs
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.ring import lesson_of, look, note_reach, note_top, teach
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import DAY_BUCKETS, DAYS_KEPT, Scene
from streams.agents.spikes.told import Tell, Told
from streams.agents.sums import SumTable, group, pack
from streams.agents.verdicts import Timeline

#: After a day in which nobody of the shard did anything, time is passed over until somebody does: replays of old data
#: followed by today's would otherwise be judged through years of nothing.
_QUIET_BUCKETS: Final = 288


class SpikeWatch:
    """What is learnt and held of each series (a row each in `roster`), open buckets, running episodes."""

    def __init__(self, policy: SpikePolicy, pairs: Pairs, classes: Names, historical_after_us: int) -> None:
        self._policy, self._pairs, self._classes = policy, pairs, classes
        self.buckets = OpenBuckets()
        self.roster = Roster(pairs)
        self.book = EpisodeBook(policy, self.roster, historical_after_us)
        self._early = EarlyWatch(policy, self.roster, self.book)
        self._beginnings = Beginnings(policy, self.roster, self.book)
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
        if len(self.roster.rows):
            self._early.judge_open(self.next, self.buckets.rows(self.next + 2), self._scene, told)
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
        used = roster.used(here)  # 1
        self.quiet = 0 if len(here.bucket) else min(self.quiet + 1, _QUIET_BUCKETS)
        fresh = (own["first"] < 0) & (used[:, CALLS] > 0)
        if fresh.any():
            own["first"][fresh] = bucket
            self._learnt = True
        running["silent"] = np.where(used[:, CALLS] > 0, 0, np.minimum(running["silent"] + 1, ABSENT))
        known = self._usual(bucket // HOUR)
        expected = known.calls[:, bucket % HOUR, None] * known.ratio * (own["first"] >= 0)[:, None]
        scene = self._scene(rows.between(bucket + 1 - RING, bucket + 1))
        self._early.judge(bucket, bucket, used, known, scene, told)  # 2
        at = bucket % RING
        running["observed"][:, at], running["expected"][:, at] = used, expected
        for row in self.book.rows():  # 3
            if roster.parent[row] >= 0 and self.book.running[roster.names.texts[row]].start <= bucket:
                self._beginnings.leave_out(row, bucket)
        seen = look(running, known, bucket)  # 4
        note_hits(running, seen, policy)
        evidence = weigh(own, running, known, seen, policy)
        # What a call of the whole team takes shifts with which of its use cases is at work.
        mixed = [team for team, children in roster.children.items() if roster.ripe(children, policy).any()]
        evidence.exceeds[mixed, 1:4] = False
        may = (own["first"] >= 0) & (running["silent"] < ABSENT)
        calm = np.ones(len(own), dtype=bool)
        for row in self.book.rows():  # 5
            if self.book.running[roster.names.texts[row]].start <= bucket:
                if self.book.is_known(row):
                    may[[row, *roster.children.get(row, ())]] = False
                calm[[row, *roster.children.get(row, ())]] = False
                self.book.go_on(row, bucket, scene, evidence, told)
        for row in self._beginnings.begin(bucket, evidence, scene, told):  # 6
            calm[[row, *roster.children.get(row, ())]] = False
        if told.is_planned(bucket):
            for row in np.flatnonzero(may).tolist():
                may[row] = told.activity(roster.series(row), bucket) is None
        teach(own, running, known, seen, bucket, may)  # 7
        note_top(own, running, evidence.strength, may & calm)
        note_reach(running, known, seen, may, calm)
        calls = np.stack([here.sums[:, CALLS]], axis=1).astype(np.int64)
        days = np.full(len(here.pair), bucket // DAY_BUCKETS)
        self.pair_calls.add(*group(pack(here.pair, days), calls))

    def _scene(self, rows: BucketRows) -> Scene:
        return Scene(self.roster, self._classes.texts, rows, self.pair_calls)

    def _usual(self, hour: int) -> Usual:
        """What is usual in the running hour. Nothing is learnt within it, so that is worked out once."""
        if self._known is None or self._known[:2] != (hour, len(self.roster.rows)):
            self._known = (hour, len(self.roster.rows), usual(self.roster.rows, hour))
        return self._known[2]

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

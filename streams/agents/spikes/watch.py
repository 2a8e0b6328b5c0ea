"""In: closed buckets of all teams of a shard, in order. Out: alerts on episodes as they begin, grow and end.

What a bucket is judged by is only its sums when it closed and the buckets before it, so any batching of the same log
gives the same alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from schemas.alerts import Alert, alert_id
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.orphans import orphaned
from streams.agents.spikes.baseline import BACK, CLASSES, HOUR, TEAM, learn, usual
from streams.agents.spikes.buckets import BUCKET_US, CACHED, COST, INPUT, TOKENS, ClosedRows, OpenBuckets
from streams.agents.spikes.episode import Episode
from streams.agents.spikes.evidence import MEASURES, Evidence, note_hits, weigh
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.texts import spike_alert
from streams.agents.verdicts import Timeline

#: After a day in which no team of the shard did anything, time is passed over until somebody does: replays of old data
#: followed by today's would otherwise be judged through years of nothing.
_QUIET_BUCKETS = 288


@dataclass(frozen=True, slots=True)
class _Told:
    """What every alert of one settlement needs, and where it goes."""

    timeline: Timeline
    control: ControlSnapshot
    now_us: int
    alerts: list[Alert]

    def append_us(self, bucket: int) -> int:
        """Broker time of the message that closed the bucket."""
        entry = self.timeline.passed((bucket + 1) * BUCKET_US)
        moment = self.timeline.moments[entry] if self.timeline.moments else self.timeline.last
        return self.now_us if moment.append_us is None else moment.append_us


class SpikeWatch:
    """Baselines as one structured array (a row per team number), open buckets, running episodes."""

    def __init__(self, policy: SpikePolicy, teams: Names, classes: Names, historical_after_us: int) -> None:
        self._policy, self._teams, self._classes = policy, teams, classes
        self._historical_after_us = historical_after_us
        self.buckets = OpenBuckets()
        self.rows = np.zeros(0, dtype=TEAM)
        #: The first bucket not judged yet; None before the first use.
        self.next: int | None = None
        self.quiet = 0
        self.episodes: dict[str, Episode] = {}
        self._changed: set[str] = set()
        self._dirty = False

    def settle(self, timeline: Timeline, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Judge every bucket that the watermark has passed."""
        watermark_us = timeline.last.watermark_us
        if watermark_us is None:
            return []
        limit = watermark_us // BUCKET_US
        if not self._policy.enabled:
            self.buckets.table.drop_before(limit)
            return []
        closed = self.buckets.close(limit)
        if self.next is None:
            if not len(closed.bucket):
                return []
            self.next = int(closed.bucket[0])
        self._grow()
        alerts: list[Alert] = []
        while self.next < limit:
            hour = self.next // HOUR * HOUR
            if self._may_pass_over(hour, closed, limit):
                self.next = hour + HOUR
                continue
            until = min(hour + HOUR, limit)
            told = _Told(timeline, control, now_us, alerts)
            self._judge(hour, self.next - hour, until - hour, closed.between(self.next, until), told)
            self.next = until
        return alerts

    def _may_pass_over(self, hour: int, closed: ClosedRows, limit: int) -> bool:
        """Whether this hour and the next are whole, empty, and in a long silence. The hour before a busy one is judged,
        so that it looks back on the same as if every hour had been."""
        return (
            self.quiet >= _QUIET_BUCKETS
            and self.next == hour
            and not self.episodes
            and hour + 2 * HOUR <= limit
            and not len(closed.between(hour, hour + 2 * HOUR).bucket)
        )

    def _grow(self) -> None:
        missing = len(self._teams) - len(self.rows)
        if missing > 0:
            fresh = np.zeros(missing, dtype=TEAM)
            fresh["first"] = -1
            self.rows = np.concatenate([self.rows, fresh])

    def _judge(self, hour: int, first: int, limit: int, closed: ClosedRows, told: _Told) -> None:
        """Judge buckets [first, limit) of an hour.

        1 take in what was used, 2 say what is usual, 3 weigh, 4 follow episodes, 5 learn, once the hour is over, what
        no episode touched: a spike must not become usual by itself.
        """
        self._dirty = True
        rows = self.rows
        self._take_in(hour, first, limit, closed)  # 1
        known = usual(rows, hour)  # 2
        rows["expected"][:, BACK + first : BACK + limit] = known.expected[:, first:limit]
        hits = note_hits(rows, known, first, limit, self._policy)
        evidence = weigh(rows, known, hits, self._policy)  # 3
        rows["taught"][:, first:limit] = True
        ripe = (rows["first"] >= 0) & (rows["calls_seen"] >= self._policy.warm_up_calls)
        rising = np.flatnonzero(ripe & evidence.exceeds[:, first:limit].any(axis=(1, 2))).tolist()
        if rising or self.episodes:
            for at in range(first, limit):  # 4
                self._follow(hour, at, evidence, rising, told)
        if limit == HOUR:
            learn(rows, hour, known)  # 5

    def _take_in(self, hour: int, first: int, limit: int, closed: ClosedRows) -> None:
        """Put the sums of each team and bucket where the hour holds them; zeros for the silent."""
        rows = self.rows
        rows["observed"][:, BACK + first : BACK + limit] = 0
        rows["mix_held"][:, BACK + first : BACK + limit] = 0
        at = closed.bucket - hour + BACK
        np.add.at(rows["observed"], (closed.team, at), closed.sums)
        model_class = np.minimum(closed.model_class, CLASSES - 1)
        np.add.at(rows["mix_held"], (closed.team, at, model_class), closed.sums[:, [TOKENS, COST]])
        fresh = closed.team[rows["first"][closed.team] < 0]
        # Rows are in bucket order, so written backwards the first bucket stays.
        rows["first"][fresh[::-1]] = closed.bucket[rows["first"][closed.team] < 0][::-1]
        busy = np.zeros(limit - first, dtype=bool)
        busy[closed.bucket - hour - first] = True
        self.quiet = int(np.argmax(busy[::-1])) if busy.any() else self.quiet + limit - first

    def _follow(self, hour: int, at: int, evidence: Evidence, rising: list[int], told: _Told) -> None:
        """Episodes at one bucket: those that run go on, then new ones begin."""
        rows, bucket = self.rows, hour + at
        for name in sorted(self.episodes):
            number = self._teams.number(name)
            rows["taught"][number, at] = False
            self._go_on(self.episodes[name], number, bucket, at, evidence, told)
        for number in rising:
            row = rows[number]
            if (
                evidence.exceeds[number, at].any()
                and row["taught"][at]
                and not row["adopt"][0]
                and bucket - row["first"] >= self._policy.warm_up_buckets
            ):
                rows["taught"][number, at] = False
                self._begin(number, bucket, at, evidence, told)

    def _begin(self, number: int, bucket: int, at: int, evidence: Evidence, told: _Told) -> None:
        row = self.rows[number]
        lead = int(np.argmax(np.where(evidence.exceeds[number, at], evidence.strength[number, at], -np.inf)))
        recent = int(evidence.hits[number, at, lead]) & 0b111111
        length = max(1, recent.bit_length())
        since = slice(BACK + at + 1 - length, BACK + at + 1)
        level = row["level"]
        start = bucket + 1 - length
        episode = Episode(
            team=self._teams.texts[number],
            measure=MEASURES[lead],
            start=start,
            end=bucket + 1,
            observed=row["observed"][since].sum(axis=0).tolist(),
            expected=row["expected"][since, :3].sum(axis=0).tolist(),
            mix=row["mix_held"][since].sum(axis=0, dtype=np.float64).reshape(-1).tolist(),
            usual_mix=row["mix"].astype(np.float64).reshape(-1).tolist(),
            input_share=float(level[INPUT] / level[TOKENS]) if level[TOKENS] > 0 else 0.0,
            cache_share=float(level[CACHED] / level[INPUT]) if level[INPUT] > 0 else 0.0,
            historical=told.append_us(bucket) - start * BUCKET_US > self._historical_after_us,
        )
        self.episodes[episode.team] = episode
        self._tell(episode, "firing", told)

    def _go_on(self, episode: Episode, number: int, bucket: int, at: int, evidence: Evidence, told: _Told) -> None:
        """Extend a running episode: it ends when calm or adopted, and is told anew when its impact has doubled."""
        row = self.rows[number]
        episode.note_calm(bool(evidence.near[number, at, MEASURES.index(episode.measure)]))
        episode.extend(bucket, row["observed"][BACK + at], row["expected"][BACK + at, :3], row["mix_held"][BACK + at])
        self._changed.add(episode.team)
        if episode.calm >= self._policy.calm_buckets:
            episode.cut_calm()
            self._end(episode, False, told)
        elif bucket + 1 - episode.start >= self._policy.adopt_buckets:
            usual_sums = np.array(episode.expected)
            row["adopt"] = np.divide(episode.observed[:3], usual_sums, out=np.ones(3), where=usual_sums > 0)
            self._end(episode, True, told)
        elif episode.impact >= 2 * episode.told_impact:
            episode.revision += 1
            self._tell(episode, "updated", told)

    def _end(self, episode: Episode, adopted: bool, told: _Told) -> None:
        del self.episodes[episode.team]
        episode.revision += 1
        self._changed.add(episode.team)
        told.alerts.append(spike_alert(episode, "resolved", adopted, self._classes.texts, told.control, told.now_us))

    def _tell(self, episode: Episode, state: Literal["firing", "updated"], told: _Told) -> None:
        episode.told_impact = episode.impact
        self._changed.add(episode.team)
        told.alerts.append(spike_alert(episode, state, False, self._classes.texts, told.control, told.now_us))

    def reconcile(self, told: Mapping[str, Alert], now_us: int) -> list[Alert]:
        """After a rebuild: let the running episodes be those of `told` (open alerts by id). Returns the resolutions of
        alerts whose episode is not seen any more; an episode that was never told is forgotten.
        """
        running = {alert_id("spike", name, one.start * BUCKET_US): name for name, one in self.episodes.items()}
        for one_id, name in running.items():
            if one_id in told:
                self.episodes[name].revision = told[one_id].revision
            else:
                del self.episodes[name]
            self._changed.add(name)
        return [orphaned(alert, now_us) for one_id, alert in told.items() if one_id not in running]

    def take_rows(self) -> np.ndarray | None:
        """All rows when a bucket was judged since the last call: judging shifts every team's rings."""
        dirty, self._dirty = self._dirty, False
        return self.rows if dirty else None

    def take_documents(self) -> dict[str, str | None]:
        """Running episodes that changed, as JSON by key; None: ended."""
        documents = {
            f"episode/{name}": self.episodes[name].dump() if name in self.episodes else None for name in self._changed
        }
        self._changed.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        """All running episodes."""
        self._changed = set(self.episodes)
        return self.take_documents()

    def restore(self, rows: np.ndarray | None, documents: Mapping[str, str]) -> None:
        if rows is not None:
            self.rows = rows
        for key, text in documents.items():
            kind, _, name = key.partition("/")
            if kind == "episode":
                self.episodes[name] = Episode.load(text)

"""In: closed buckets of all teams of a shard, in order. Out: alerts on episodes as they begin, grow and end.

What a bucket is judged by is only its sums when it closed and the buckets before it, so any batching of the same log
gives the same alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.spikes.baseline import CLASSES, TEAM, Usual, adopt, learn, usual
from streams.agents.spikes.buckets import BUCKET_US, INPUT, TOKENS, WIDTH, ClosedBucket, OpenBuckets
from streams.agents.spikes.episode import Episode
from streams.agents.spikes.evidence import MEASURES, Evidence, push, weigh
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.texts import spike_alert
from streams.agents.verdicts import Timeline

#: After a day in which no team of the shard did anything, time is passed over until somebody does: replays of old data
#: followed by today's would otherwise be judged through years of nothing.
_QUIET_BUCKETS = 288


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
        closed = self.buckets.close(0, limit)
        if self.next is None:
            if not closed:
                return []
            self.next = closed[0].bucket
        self._grow()
        alerts: list[Alert] = []
        by_number = {bucket.bucket: bucket for bucket in closed}
        busy = sorted(by_number)
        at = 0
        while self.next < limit:
            while at < len(busy) and busy[at] < self.next:
                at += 1
            if self.quiet >= _QUIET_BUCKETS and (at == len(busy) or busy[at] > self.next):
                self.next = busy[at] if at < len(busy) else limit
                continue
            self._judge(self.next, by_number.get(self.next), timeline, control, now_us, alerts)
            self.next += 1
        return alerts

    def _grow(self) -> None:
        missing = len(self._teams) - len(self.rows)
        if missing > 0:
            fresh = np.zeros(missing, dtype=TEAM)
            fresh["first"] = -1
            self.rows = np.concatenate([self.rows, fresh])

    def _judge(
        self,
        bucket: int,
        closed: ClosedBucket | None,
        timeline: Timeline,
        control: ControlSnapshot,
        now_us: int,
        alerts: list[Alert],
    ) -> None:
        """1 what is usual, 2 weigh, 3 episodes, 4 learn, unless an episode runs: a spike must not become usual by
        itself.
        """
        self._dirty = True
        self.quiet = 0 if closed is not None else self.quiet + 1
        observed, mix = self._observed(closed)
        known = usual(self.rows, bucket)
        push(self.rows, observed, known, mix, self._policy)
        evidence = weigh(self.rows, known, self._policy)
        taught = np.ones(len(self.rows), dtype=bool)
        for name in sorted(self.episodes):
            number = self._teams.number(name)
            taught[number] = False
            self._go_on(self.episodes[name], number, bucket, observed, known, mix, evidence, control, now_us, alerts)
        ripe = (self.rows["first"] >= 0) & (bucket - self.rows["first"] >= self._policy.warm_up_buckets)
        ripe &= (self.rows["calls_seen"] >= self._policy.warm_up_calls) & taught
        for number in np.flatnonzero(ripe & evidence.exceeds.any(axis=1)).tolist():
            taught[number] = False
            moment = timeline.moments[timeline.passed((bucket + 1) * BUCKET_US)] if timeline.moments else timeline.last
            append_us = now_us if moment.append_us is None else moment.append_us
            self._begin(number, bucket, evidence, append_us, control, now_us, alerts)
        learn(self.rows, bucket, observed, mix, known, taught)

    def _observed(self, closed: ClosedBucket | None) -> tuple[np.ndarray, np.ndarray]:
        """[teams, 5] sums and [teams, classes, 2] tokens and cost by class; zeros for the silent."""
        observed = np.zeros((len(self.rows), WIDTH))
        mix = np.zeros((len(self.rows), CLASSES, 2))
        if closed is not None:
            np.add.at(observed, closed.team, closed.sums)
            np.add.at(mix, (closed.team, np.minimum(closed.model_class, CLASSES - 1)), closed.sums[:, 1:3])
        return observed, mix

    def _begin(
        self,
        number: int,
        bucket: int,
        evidence: Evidence,
        append_us: int,
        control: ControlSnapshot,
        now_us: int,
        alerts: list[Alert],
    ) -> None:
        row = self.rows[number]
        lead = int(np.argmax(np.where(evidence.exceeds[number], evidence.strength[number], -np.inf)))
        recent = int(row["hits"][lead]) & 0b111111
        length = max(1, recent.bit_length())
        level = row["level"]
        start = bucket + 1 - length
        episode = Episode(
            team=self._teams.texts[number],
            measure=MEASURES[lead],
            start=start,
            end=bucket + 1,
            observed=row["observed"][-length:].sum(axis=0).tolist(),
            expected=row["expected"][-length:, :3].sum(axis=0).tolist(),
            mix=row["mix_ring"][-length:].sum(axis=0, dtype=np.float64).reshape(-1).tolist(),
            usual_mix=row["mix"].astype(np.float64).reshape(-1).tolist(),
            input_share=float(level[INPUT] / level[TOKENS]) if level[TOKENS] > 0 else 0.0,
            cache_share=float(level[4] / level[INPUT]) if level[INPUT] > 0 else 0.0,
            historical=append_us - start * BUCKET_US > self._historical_after_us,
        )
        self.episodes[episode.team] = episode
        self._tell(episode, "firing", control, now_us, alerts)

    def _go_on(
        self,
        episode: Episode,
        number: int,
        bucket: int,
        observed: np.ndarray,
        known: Usual,
        mix: np.ndarray,
        evidence: Evidence,
        control: ControlSnapshot,
        now_us: int,
        alerts: list[Alert],
    ) -> None:
        """Extend a running episode: it ends when calm or adopted, and is told anew when its impact has doubled."""
        episode.note_calm(bool(evidence.near[number, MEASURES.index(episode.measure)]))
        episode.extend(bucket, observed[number], known.expected[number, :3], mix[number])
        self._changed.add(episode.team)
        if episode.calm >= self._policy.calm_buckets:
            episode.cut_calm()
            self._end(episode, False, control, now_us, alerts)
            return
        if bucket + 1 - episode.start >= self._policy.adopt_buckets:
            ratios = np.divide(
                episode.observed[:3], episode.expected, out=np.ones(3), where=np.array(episode.expected) > 0
            )
            adopt(self.rows[number], ratios)
            self._end(episode, True, control, now_us, alerts)
        elif episode.impact >= 2 * episode.told_impact:
            episode.revision += 1
            self._tell(episode, "updated", control, now_us, alerts)

    def _end(self, episode: Episode, adopted: bool, control: ControlSnapshot, now_us: int, alerts: list[Alert]) -> None:
        del self.episodes[episode.team]
        episode.revision += 1
        self._changed.add(episode.team)
        alerts.append(spike_alert(episode, "resolved", adopted, self._classes.texts, control, now_us))

    def _tell(
        self,
        episode: Episode,
        state: Literal["firing", "updated"],
        control: ControlSnapshot,
        now_us: int,
        alerts: list[Alert],
    ) -> None:
        episode.told_impact = episode.impact
        self._changed.add(episode.team)
        alerts.append(spike_alert(episode, state, False, self._classes.texts, control, now_us))

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

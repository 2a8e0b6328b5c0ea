"""In: what stands out at one bucket. Out: episodes that begin, go on and end, and the alerts on them.

One cause, one alert: what a use case's episode tells of is left out of its team's sums, and while a team's episode
runs, its use cases have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import structlog

from schemas.alerts import Alert, Confidence, alert_id
from schemas.control.snapshot import ControlSnapshot
from streams.agents.orphans import orphaned
from streams.agents.spikes.buckets import BUCKET_US, COST, RING
from streams.agents.spikes.episode import Episode, Sums, usage
from streams.agents.spikes.evidence import MEASURES, Evidence, plain_measure
from streams.agents.spikes.finding import Finding, Series, Why
from streams.agents.spikes.lessons import note_new_usual, remember, take_as_usual
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import Scene
from streams.agents.spikes.texts import spike_alert
from streams.agents.spikes.told import Tell, Told

_log = structlog.get_logger(__name__)

_PREFIX: Final = "episode/"
#: Until so many hours, or calls, are learnt the usual is known with low or medium confidence.
_LOW_HOURS, _LOW_CALLS, _MEDIUM_HOURS = 7 * 24, 500, 21 * 24


class EpisodeBook:
    """The running episodes by text of their series."""

    def __init__(self, policy: SpikePolicy, roster: Roster, historical_after_us: int) -> None:
        self._policy, self._roster = policy, roster
        self._historical_after_us = historical_after_us
        self.tell: Tell = spike_alert
        self.running: dict[str, Episode] = {}
        self._changed: set[str] = set()
        #: Whether what was learnt changed by what people said.
        self.taught = False

    def has(self, row: int) -> bool:
        return self._roster.names.texts[row] in self.running

    def is_told(self, row: int) -> bool:
        """Whether its team's episode tells of this use case."""
        parent = int(self._roster.parent[row])
        return parent >= 0 and self.has(parent)

    def is_known(self, row: int) -> bool:
        """Whether an episode is planned, or expected by people: it teaches nothing."""
        episode = self.running[self._roster.names.texts[row]]
        return episode.activity is not None or episode.said == "expected"

    def rows(self) -> list[int]:
        """Rows with an episode, in the order of their names."""
        return [self._row(self.running[name]) for name in sorted(self.running)]

    def aside(self, team: int) -> frozenset[int]:
        """Use cases of a team that have episodes of their own."""
        return frozenset(row for row in self._roster.children.get(team, ()) if self.has(row))

    def begin(
        self,
        row: int,
        measure: int,
        start: int,
        sums: Sums,
        scene: Scene,
        told: Told,
        *,
        strength: float,
        since: int | None = None,
    ) -> None:
        """An episode begins: of closed buckets, or of one that need not be over, where `since` names it."""
        name = self._roster.names.texts[row]
        bucket = sums.end - 1
        series = self._roster.series(row)
        episode = Episode(
            series=name,
            measure=MEASURES[measure],
            since=start if since is None else max(since, int(self._roster.running["ended"][row])),
            start=start,
            sums=sums,
            usual_mix=scene.usual_mix(row),
            confidence=self._confidence(row),
            historical=told.append_us(bucket) - start * BUCKET_US > self._historical_after_us,
            rate=sums.impact * 12 / (sums.end - start),
            strength=strength,
            open=since is not None,
            activity=told.activity(series, bucket),
        )
        if episode.activity is None and self._roster.parent[row] < 0:
            episode.activity = _activity_of_part(series, sums, bucket, told, self._policy.carried)
        self.running[name] = episode
        self._tell(episode, "early" if episode.open else "began", told)
        self.hear(episode, told)

    def go_on(self, row: int, bucket: int, scene: Scene, evidence: Evidence, told: Told) -> None:
        """Extend a running episode by one closed bucket: it ends when calm or adopted, and is told anew when its
        impact has doubled or its first bucket is over."""
        episode = self.running[self._roster.names.texts[row]]
        if episode.start > bucket:
            return
        series = self._roster.series(row)
        activity = told.activity(series, bucket)
        if (
            episode.activity is not None
            and activity is None
            and not self._is_part_planned(episode, series, bucket, told)
        ):
            self._end(episode, "over", told)
            return
        self._changed.add(episode.series)
        fresh = scene.sums(row, bucket, bucket + 1, self.aside(row))
        at = MEASURES.index(episode.measure)
        episode.strength = max(episode.strength, float(evidence.strength[row, at]))
        if episode.open:
            episode.open, episode.sums = False, fresh
            episode.measure = MEASURES[plain_measure(fresh.observed, fresh.expected)]
            self._take_rate(episode, row, bucket)
            self._revise(episode, "grown", told)
            self.hear(episode, told)
            return
        episode.note_calm(bool(evidence.near[row, at]))
        episode.sums = episode.sums.plus(fresh)
        self._take_rate(episode, row, bucket)
        self.hear(episode, told)
        if episode.calm >= self._policy.calm_buckets:
            episode.cut_calm()
            self.taught |= remember(self._roster, episode, row, self._policy)
            self._end(episode, "over", told)
        elif bucket + 1 - episode.start >= self._policy.adopt_buckets and episode.activity is None:
            note_new_usual(self._roster, episode, row)
            self._end(episode, "adopted", told)
        elif activity != episode.activity and activity is not None:
            episode.activity = activity
            self._revise(episode, "grown", told)
        elif episode.sums.impact >= 2 * episode.told_impact and episode.said != "acknowledged":
            self._revise(episode, "grown", told)

    def begin_sooner(self, row: int, sums: Sums) -> None:
        """The bucket before the open one that an episode was told of is plain as well."""
        episode = self.running[self._roster.names.texts[row]]
        episode.start, episode.sums = sums.end - 1, sums
        self._changed.add(episode.series)

    def is_open_after(self, row: int, bucket: int) -> bool:
        """Whether the series has an episode that was told of the open bucket after that one."""
        episode = self.running.get(self._roster.names.texts[row])
        return episode is not None and episode.open and episode.start == bucket + 1

    def merge(self, row: int, told: Told) -> None:
        """A use case's episode is told by its team's from now on."""
        self._end(self.running[self._roster.names.texts[row]], "merged", told)

    def hear(self, episode: Episode, told: Told) -> None:
        """Take what people said of an episode. `expected` and `noise` resolve it; it is then followed in silence."""
        feedback = told.control.feedback.get(self._id(episode))
        if feedback is None or feedback.said == episode.said or episode.hidden:
            return
        episode.said = feedback.said
        if episode.said == "noise":
            take_as_usual(self._roster, episode, self._row(episode))
            self.taught = True
        self._revise(episode, "said", told)
        episode.hidden = episode.said != "acknowledged"

    def hear_all(self, told: Told) -> None:
        for name in sorted(self.running):
            self.hear(self.running[name], told)

    def retell(self, one_id: str, control: ControlSnapshot, now_us: int) -> Alert | None:
        """The running episode of that alert with its newest figures, as the next revision; None when there is none."""
        for episode in self.running.values():
            if not episode.hidden and self._id(episode) == one_id:
                episode.revision += 1
                self._changed.add(episode.series)
                return self.tell(self._finding(episode, "explained"), control, now_us)
        return None

    def reconcile(self, told: Mapping[str, Alert], now_us: int) -> list[Alert]:
        """After a rebuild: let the running episodes be those of `told` (open alerts by id). Returns the resolutions of
        alerts whose episode is not seen any more; an episode that was never told is forgotten.
        """
        running = {self._id(one): name for name, one in self.running.items() if not one.hidden}
        for one_id, name in running.items():
            if one_id in told:
                self.running[name].revision = told[one_id].revision
            else:
                del self.running[name]
            self._changed.add(name)
        return [orphaned(alert, now_us) for one_id, alert in told.items() if one_id not in running]

    def take_documents(self) -> dict[str, str | None]:
        """Running episodes that changed, as JSON by key; None: ended."""
        documents = {
            f"{_PREFIX}{name}": self.running[name].dump() if name in self.running else None for name in self._changed
        }
        self._changed.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        """All running episodes."""
        self._changed |= set(self.running)
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        """Episodes of another version of the detector, whose memory is not read either, are let go."""
        for key, text in documents.items():
            if not key.startswith(_PREFIX):
                continue
            name = key.removeprefix(_PREFIX)
            try:
                episode = Episode.load(text)
            except (ValueError, TypeError, LookupError):
                _log.info("spikes.episode_of_before", series=name, consequence="it is let go; a rise is found anew")
                self._changed.add(name)
                continue
            if self._roster.names.find(name) is not None:
                self.running[name] = episode
            else:
                self._changed.add(name)

    def _row(self, episode: Episode) -> int:
        return self._roster.names.number(episode.series)

    def _id(self, episode: Episode) -> str:
        series = self._roster.series(self._row(episode))
        return alert_id("spike", series.name, episode.since * BUCKET_US)

    def _confidence(self, row: int) -> Confidence:
        hours, calls = int(self._roster.rows["hours"][row]), float(self._roster.rows["calls"][row])
        if hours < _LOW_HOURS or calls < _LOW_CALLS:
            return "low"
        return "medium" if hours < _MEDIUM_HOURS else "high"

    def _take_rate(self, episode: Episode, row: int, bucket: int) -> None:
        """Extra cost per hour over the episode's last half hour."""
        running = self._roster.running
        length = min(RING, bucket + 1 - episode.start)
        at = (bucket - np.arange(length)) % RING
        excess = running["observed"][row, at, COST].sum() - running["expected"][row, at, COST].sum(dtype=np.float64)
        episode.rate = float(excess) * 12 / length

    def _is_part_planned(self, episode: Episode, series: Series, bucket: int, told: Told) -> bool:
        if series.use_case is not None:
            return False
        return _activity_of_part(series, episode.sums, bucket, told, self._policy.carried) is not None

    def _end(self, episode: Episode, why: Why, told: Told) -> None:
        self._roster.running["ended"][self._row(episode)] = episode.sums.end
        del self.running[episode.series]
        self._revise(episode, why, told)

    def _revise(self, episode: Episode, why: Why, told: Told) -> None:
        self._changed.add(episode.series)
        if not episode.hidden:
            episode.revision += 1
            self._tell(episode, why, told)

    def _tell(self, episode: Episode, why: Why, told: Told) -> None:
        episode.told_impact = max(episode.sums.impact, 1.0)
        self._changed.add(episode.series)
        told.alerts.append(self.tell(self._finding(episode, why), told.control, told.now_us))

    def _finding(self, episode: Episode, why: Why) -> Finding:
        sums = episode.sums
        return Finding(
            series=self._roster.series(self._row(episode)),
            measure=episode.measure,
            why=why,
            since_us=episode.since * BUCKET_US,
            start_us=episode.start * BUCKET_US,
            end_us=sums.end * BUCKET_US,
            before=episode.before(),
            after=episode.after(),
            parts={name: (usage(pair[1], {}), usage(pair[0], {})) for name, pair in sorted(sums.parts.items())},
            rate=episode.rate,
            confidence=episode.confidence,
            historical=episode.historical,
            revision=episode.revision,
            activity=episode.activity,
            said=episode.said,
        )


def _activity_of_part(series: Series, sums: Sums, bucket: int, told: Told, carried: float) -> str | None:
    """The activity that covers the use case which carries a team's rise."""
    for use_case, (observed, expected) in sorted(sums.parts.items()):
        if use_case and observed[COST] - expected[COST] >= carried * sums.impact:
            return told.activity(Series(series.team, use_case), bucket)
    return None

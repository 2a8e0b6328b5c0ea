"""In: what stands out at one bucket. Out: episodes that begin, go on and end, and the alerts on them.

One cause, one alert: what a use case's episode tells of is left out of its team's sums, and while a team's episode
runs, its use cases have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from schemas.alerts import Alert, Confidence, alert_id
from schemas.control.snapshot import ControlSnapshot
from streams.agents.orphans import orphaned
from streams.agents.planned import Planned, activity_of
from streams.agents.spikes.buckets import BUCKET_US, COST, RING, WIDTH
from streams.agents.spikes.episode import Episode, Sums, usage
from streams.agents.spikes.evidence import MEASURES, Evidence
from streams.agents.spikes.finding import Finding, Series, Why
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.roster import Roster
from streams.agents.spikes.scene import Scene
from streams.agents.spikes.texts import spike_alert
from streams.agents.verdicts import Timeline

_log = structlog.get_logger(__name__)

_PREFIX: Final = "episode/"
#: Until so many hours, or calls, are learnt the usual is known with low or medium confidence.
_LOW_HOURS, _LOW_CALLS, _MEDIUM_HOURS = 7 * 24, 500, 21 * 24

Tell = Callable[[Finding, ControlSnapshot, int], Alert]


@dataclass(frozen=True, slots=True)
class Told:
    """What every alert of one settlement needs, and where it goes."""

    timeline: Timeline
    control: ControlSnapshot
    activities: tuple[Planned, ...]
    now_us: int
    alerts: list[Alert]

    def append_us(self, bucket: int) -> int:
        """Broker time of the message that closed the bucket, of the last one while it is open."""
        entry = self.timeline.passed((bucket + 1) * BUCKET_US)
        moments = self.timeline.moments
        moment = moments[entry] if 0 <= entry < len(moments) else self.timeline.last
        if entry < 0 and self.timeline.before is not None:
            moment = self.timeline.before
        return self.now_us if moment.append_us is None else moment.append_us

    def is_planned(self, bucket: int) -> bool:
        """Whether anything is planned in a bucket."""
        return any(one.start_us <= bucket * BUCKET_US < one.end_us for one in self.activities)

    def activity(self, series: Series, bucket: int) -> str | None:
        """The planned activity that covers a series in a bucket."""
        return activity_of(self.activities, series.team, series.use_case, bucket * BUCKET_US, self.control)


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
        is_open: bool,
    ) -> None:
        """An episode of closed buckets, or (`is_open`) of one that is not over, begins."""
        name = self._roster.names.texts[row]
        bucket = sums.end - 1
        series = self._roster.series(row)
        episode = Episode(
            series=name,
            measure=MEASURES[measure],
            start=start,
            sums=sums,
            usual_mix=scene.usual_mix(row),
            confidence=self._confidence(row),
            historical=told.append_us(bucket) - start * BUCKET_US > self._historical_after_us,
            rate=sums.impact * 12 / (sums.end - start),
            strength=strength,
            open=is_open,
            activity=told.activity(series, bucket),
        )
        if episode.activity is None and self._roster.parent[row] < 0:
            episode.activity = _activity_of_part(series, sums, bucket, told, self._policy.carried)
        self.running[name] = episode
        self._tell(episode, "early" if is_open else "began", told)
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
            self._remember(episode, row)
            self._end(episode, "over", told)
        elif bucket + 1 - episode.start >= self._policy.adopt_buckets and episode.activity is None:
            self._adopt(episode, row)
            self._end(episode, "adopted", told)
        elif activity != episode.activity and activity is not None:
            episode.activity = activity
            self._revise(episode, "grown", told)
        elif episode.sums.impact >= 2 * episode.told_impact and episode.said != "acknowledged":
            self._revise(episode, "grown", told)

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
            self._take_as_usual(episode)
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
        return alert_id("spike", series.name, episode.start * BUCKET_US)

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

    def _remember(self, episode: Episode, row: int) -> None:
        """What ended by itself may come again: a little more is asked next time."""
        if episode.activity is None and episode.said != "expected":
            top, at = self._roster.rows["top"], MEASURES.index(episode.measure)
            top[row, at] = max(float(top[row, at]), min(episode.strength, self._policy.most_remembered))
            self.taught = True

    def _take_as_usual(self, episode: Episode) -> None:
        """What was noise is no rise from now on: so strong it may be in quiet times."""
        row = self._row(episode)
        rows, running = self._roster.rows, self._roster.running
        at = MEASURES.index(episode.measure)
        rows["top"][row, at] = max(float(rows["top"][row, at]), episode.strength)
        seen = running["observed"][row].max(axis=0)
        rows["peak"][row] = np.maximum(rows["peak"][row], seen[[0, COST]])
        self.taught = True

    def _adopt(self, episode: Episode, row: int) -> None:
        """Note the new usual of the series, and of those whose sums hold it or are held in it."""
        roster, sums = self._roster, episode.sums
        observed, expected = np.array(sums.observed), np.array(sums.expected)
        roster.running["adopt"][row] = _ratios(observed, expected)
        parent = int(roster.parent[row])
        if parent >= 0:
            around = np.array(sums.around)
            roster.running["adopt"][parent] = _ratios(around + observed - expected, around)
        for child in roster.children.get(row, ()):
            part = sums.parts.get(roster.series(child).use_case or "")
            if part is not None:
                roster.running["adopt"][child] = _ratios(np.array(part[0]), np.array(part[1]))

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
            since_us=episode.start * BUCKET_US,
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


def _ratios(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Observed over expected sums, within bounds; 1 where nothing was expected."""
    ratio = np.divide(observed, expected, out=np.ones(WIDTH), where=expected > 0)
    bounded: np.ndarray = np.clip(ratio, 0.02, 50)
    return bounded


def _activity_of_part(series: Series, sums: Sums, bucket: int, told: Told, carried: float) -> str | None:
    """The activity that covers the use case which carries a team's rise."""
    for use_case, (observed, expected) in sorted(sums.parts.items()):
        if use_case and observed[COST] - expected[COST] >= carried * sums.impact:
            return told.activity(Series(series.team, use_case), bucket)
    return None

"""In: the hours of workflows, reviewed up to one hour. Out: alerts on those whose calls have become dearer, as they
begin, grow and end; and what is remembered of them.

A step that a running spike alert of the team tells already waits until that is over, and then names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, get_args

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertState
from schemas.control.base import moment_us
from schemas.control.periods import HOUR_US
from schemas.control.snapshot import ControlSnapshot
from streams.agents.reviews.comparison import Comparison, compare
from streams.agents.reviews.episode import Episode
from streams.agents.reviews.hours import Measure, hourly
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import READ_HOURS, SpikeTold, Workflow, WorkflowHours, Workflows
from streams.agents.reviews.regression_texts import Why, regression_alert, regression_id
from streams.agents.reviews.shift import Shape, Shift, find_shift, rise_now

_MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
#: A spike that began so many hours before the step, or after it, is about the same.
_SPIKE_EARLIER: Final = 6
_SPIKE_LATER: Final = 24
#: Without calls for so long, a workflow is gone.
_GONE_HOURS: Final = 7 * 24


class Regressions:
    """Of the shard where reviews are at home. `episodes` also has those that are over, while they may be mistaken for
    new ones.
    """

    def __init__(self, policy: ReviewPolicy) -> None:
        self._policy = policy
        self.episodes: dict[Workflow, Episode] = {}
        self.changed: set[Workflow] = set()

    @property
    def running(self) -> tuple[Workflow, ...]:
        return tuple(sorted(name for name, episode in self.episodes.items() if episode.runs))

    def judge(self, answer: Workflows, until_hour: int, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """All of an answer: calls before `until_hour`."""
        alerts = [self.take(found, answer.spikes, until_hour, control, now_us) for found in answer.workflows]
        known = [alert for alert in alerts if alert is not None]
        return known + self.end_others({found.workflow for found in answer.workflows}, until_hour, now_us)

    def take(
        self,
        found: WorkflowHours,
        spikes: Sequence[SpikeTold],
        until_hour: int,
        control: ControlSnapshot,
        now_us: int,
    ) -> Alert | None:
        """Judge one workflow of an answer; the same again tells nothing more."""
        episode = self.episodes.get(found.workflow)
        if episode is not None and episode.runs:
            return self._go_on(episode, found, until_hour, control, now_us)
        return self._begin(found, spikes, until_hour, control, now_us)

    def end_others(self, heard: Collection[Workflow], until_hour: int, now_us: int) -> list[Alert]:
        """Of those that were not in the answer nothing is left in the time that is read, or they must not be shown any
        more.
        """
        unseen = [self.episodes[name] for name in self.running if name not in heard]
        self._forget(until_hour)
        return [self._end_unseen(episode, until_hour, now_us) for episode in unseen]

    def close(self, name: Workflow, alert: Alert, floor_hour: int) -> None:
        """The episode's newest state was told by somebody else: people."""
        episode = self.episodes[name]
        episode.alert = alert
        if alert.state == "resolved":
            episode.floor_hour = floor_hour
        self.changed.add(name)

    def remember(self, told: Iterable[Alert]) -> None:
        """After a rebuild: what was told, and nothing else. A step that old would have become the usual, so what still
        ran then is a drift.
        """
        self.changed.update(self.episodes)
        self.episodes.clear()
        for alert in sorted(told, key=lambda alert: alert.window.start):
            name = Workflow(alert.scope.team or "", alert.scope.workflow or "")
            episode = self.episodes[name] = Episode.of_alert(alert)
            if episode.began_hour - episode.since_hour >= self._policy.usual_days * 24:
                episode.facts["shape"] = "drift"
            self.changed.add(name)

    def _begin(
        self,
        found: WorkflowHours,
        spikes: Sequence[SpikeTold],
        until_hour: int,
        control: ControlSnapshot,
        now_us: int,
    ) -> Alert | None:
        past = self.episodes.get(found.workflow)
        floor = 0 if past is None else past.floor_hour
        cells = [cell for cell in found.cells if cell.hour >= floor]
        for measure in _MEASURES:
            shift = find_shift(hourly(cells, measure, self._policy.least_calls), until_hour, self._policy)
            compared = None if shift is None else compare(cells, shift.since_hour, until_hour, shift.shape)
            if shift is None or compared is None or compared.extra < self._policy.least_extra:
                continue
            hours = hourly(cells, measure, self._policy.least_calls)
            if hours.within(compared.since_hour, until_hour).sum() < self._policy.least_hours:
                continue
            name = regression_id(found, compared)
            if past is not None and past.alert.alert_id == name:
                return None
            near = _same(spikes, found, compared)
            if any(spike.runs for spike in near):
                return None
            spike = near[0].alert_id if near else None
            alert = regression_alert(name, 0, "firing", "began", found, compared, shift.shape, spike, control, now_us)
            self._put(found.workflow, Episode(alert, until_hour, 0, _facts(shift, measure, spike)))
            return alert
        return None

    def _go_on(
        self, episode: Episode, found: WorkflowHours, until_hour: int, control: ControlSnapshot, now_us: int
    ) -> Alert | None:
        measure: Measure = episode.facts.get("measure", "cost")
        shape: Shape = episode.facts.get("shape", "step")
        compared = compare(found.cells, episode.since_hour, until_hour, shape)
        if compared is None or until_hour - found.cells[-1].hour > _GONE_HOURS:
            return self._end_unseen(episode, until_hour, now_us)
        policy = self._policy
        rise = rise_now(
            hourly(found.cells, measure, policy.least_calls), compared.since_hour, until_hour, policy.least_hours
        )
        usual_from = compared.since_hour if shape == "step" else episode.began_hour
        state: AlertState
        why: Why
        if rise is not None and rise < self._policy.back_ratio:
            state, why, floor = "resolved", "back", 0
            compared = compare(found.cells, episode.since_hour, until_hour, shape, now_hours=24) or compared
        elif until_hour - usual_from >= self._policy.usual_days * 24:
            state, why, floor = "resolved", "usual", usual_from
        elif episode.tells_growth and compared.extra >= 2 * max(episode.extra, self._policy.least_extra):
            state, why, floor = "updated", "grown", 0
        else:
            return None
        alert = regression_alert(
            episode.alert.alert_id,
            episode.alert.revision + 1,
            state,
            why,
            found,
            compared,
            shape,
            episode.facts.get("spike"),
            control,
            now_us,
        )
        episode.alert = alert.model_copy(update={"said": episode.alert.said})
        episode.floor_hour = floor
        self.changed.add(found.workflow)
        return episode.alert

    def _end_unseen(self, episode: Episode, until_hour: int, now_us: int) -> Alert:
        last = episode.alert
        alert = last.model_copy(
            update={
                "revision": last.revision + 1,
                "state": "resolved",
                "summary": f"It is not called any more, or by too few people to be shown. {last.summary}",
                "suggested_action": "None.",
                "evaluated_at": to_datetime(now_us),
            }
        )
        name = Workflow(last.scope.team or "", last.scope.workflow or "")
        self._put(name, Episode(alert, episode.began_hour, until_hour, episode.facts))
        return alert

    def _put(self, name: Workflow, episode: Episode) -> None:
        self.episodes[name] = episode
        self.changed.add(name)

    def _forget(self, until_hour: int) -> None:
        """What lies before all that is read cannot come back."""
        for name, episode in list(self.episodes.items()):
            ended = moment_us(episode.alert.window.end) // HOUR_US
            if not episode.runs and until_hour - ended > READ_HOURS:
                del self.episodes[name]
                self.changed.add(name)


def _same(spikes: Sequence[SpikeTold], found: WorkflowHours, compared: Comparison) -> list[SpikeTold]:
    """Alerts on spikes of its team (and use case) that are about the same hours, running ones first."""
    since, until = compared.since_hour * HOUR_US, compared.until_hour * HOUR_US
    near = [
        spike
        for spike in spikes
        if spike.team == found.workflow.team
        and (spike.use_case is None or found.use_case is None or spike.use_case == found.use_case)
        and (
            (spike.runs and spike.start_us < until)
            or since - _SPIKE_EARLIER * HOUR_US <= spike.start_us < since + _SPIKE_LATER * HOUR_US
        )
    ]
    return sorted(near, key=lambda spike: (not spike.runs, spike.start_us, spike.alert_id))


def _facts(shift: Shift, measure: Measure, spike: str | None) -> dict[str, str]:
    facts: dict[str, str] = {"measure": measure, "shape": shift.shape}
    return facts if spike is None else facts | {"spike": spike}

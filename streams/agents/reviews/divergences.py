"""In: closed weeks of use cases. Out: alerts on those whose cost grows faster than their outcomes, as they begin, grow
and end; and what is remembered of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertState
from schemas.control.snapshot import ControlSnapshot
from streams.agents.reviews.divergence_texts import Why, divergence_alert, divergence_id
from streams.agents.reviews.episode import Episode
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import LOOK_WEEKS, UseCases, UseCaseWeeks
from streams.agents.reviews.trend import WEEK_HOURS, Trend, find_trend, fit, usable

#: An episode is over once it has been told for so long; and without enough outcomes for so many weeks.
_USUAL_WEEKS: Final = 8
_INSUFFICIENT_WEEKS: Final = 4


class Divergences:
    """Of the shard where reviews are at home."""

    def __init__(self, policy: ReviewPolicy) -> None:
        self._policy = policy
        self.episodes: dict[str, Episode] = {}
        self.changed: set[str] = set()

    def judge(self, answer: UseCases, until_hour: int, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """`until_hour`: the Monday at which the newest week ended."""
        alerts: list[Alert] = []
        known = {found.use_case: found for found in answer.use_cases}
        running = {name for name, episode in self.episodes.items() if episode.runs}
        for name in sorted(known.keys() | running):
            found = known.get(name, UseCaseWeeks(name, ()))
            alert = (self._go_on if name in running else self._begin)(found, until_hour, control, now_us)
            if alert is not None:
                alerts.append(alert)
                self.changed.add(name)
        for name, episode in list(self.episodes.items()):
            if not episode.runs and until_hour - episode.floor_hour > LOOK_WEEKS * WEEK_HOURS:
                del self.episodes[name]
                self.changed.add(name)
        return alerts

    def close(self, name: str, alert: Alert, floor_hour: int) -> None:
        """The episode's newest state was told by somebody else: people."""
        episode = self.episodes[name]
        episode.alert = alert
        if alert.state == "resolved":
            episode.floor_hour = floor_hour
        self.changed.add(name)

    def remember(self, told: Iterable[Alert]) -> None:
        """After a rebuild: what was told, and nothing else."""
        self.changed.update(self.episodes)
        self.episodes.clear()
        for alert in sorted(told, key=lambda alert: alert.window.start):
            self.episodes[alert.scope.use_case or ""] = Episode.of_alert(alert)
            self.changed.add(alert.scope.use_case or "")

    def _begin(self, found: UseCaseWeeks, until_hour: int, control: ControlSnapshot, now_us: int) -> Alert | None:
        past = self.episodes.get(found.use_case)
        floor = 0 if past is None else past.floor_hour
        weeks = usable(found.weeks, until_hour, self._policy)[-LOOK_WEEKS:]
        trend = find_trend([week for week in weeks if week.hour >= floor], self._policy)
        if trend is None:
            return None
        name = divergence_id(found.use_case, trend)
        if past is not None and past.alert.alert_id == name:
            return None
        alert = divergence_alert(name, 0, "firing", "began", found.use_case, trend, control, now_us)
        self.episodes[found.use_case] = Episode(alert, until_hour, 0, {"judged": until_hour})
        return alert

    def _go_on(self, found: UseCaseWeeks, until_hour: int, control: ControlSnapshot, now_us: int) -> Alert | None:
        episode = self.episodes[found.use_case]
        weeks = usable(found.weeks, until_hour, self._policy)[-LOOK_WEEKS:]
        trend = fit([week for week in weeks if week.hour >= episode.since_hour])
        state: AlertState = "resolved"
        why: Why
        if trend is None:
            judged = int(episode.facts.get("judged", episode.began_hour))
            if until_hour - judged < _INSUFFICIENT_WEEKS * WEEK_HOURS:
                return None
            return self._tell_last(episode, until_hour, now_us)
        episode.facts["judged"] = until_hour
        self.changed.add(found.use_case)
        if self._is_back(trend):
            why = "back"
        elif until_hour - episode.began_hour >= _USUAL_WEEKS * WEEK_HOURS:
            why = "usual"
        elif episode.tells_growth and trend.observed - trend.expected >= 2 * max(
            episode.extra, self._policy.least_outcome_extra
        ):
            state, why = "updated", "grown"
        else:
            return None
        last = episode.alert
        alert = divergence_alert(
            last.alert_id, last.revision + 1, state, why, found.use_case, trend, control, now_us
        ).model_copy(update={"said": last.said})
        episode.alert = alert
        # The newest weeks are where the next trend may begin.
        episode.floor_hour = until_hour - WEEK_HOURS if state == "resolved" else 0
        return alert

    def _is_back(self, trend: Trend) -> bool:
        newest = trend.last.cost / trend.last.succeeded
        return newest < self._policy.back_ratio * trend.first.cost / trend.first.succeeded

    def _tell_last(self, episode: Episode, until_hour: int, now_us: int) -> Alert:
        last = episode.alert
        episode.floor_hour = until_hour
        episode.alert = last.model_copy(
            update={
                "revision": last.revision + 1,
                "state": "resolved",
                "summary": f"There are too few outcomes, or people, to judge by now. {last.summary}",
                "suggested_action": "None.",
                "evaluated_at": to_datetime(now_us),
            }
        )
        return episode.alert

"""In: tally messages of one shard in log order. Out: alerts on broken policies and questions, as they begin, grow and
end; what must be remembered of them; and the statuses of governance.

Messages are judged one by one, each by the watermark that it moved, so any batching of the same log gives the same
alerts. Only the watermark ends an episode: input partitions that are read unevenly do not cut it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from schemas.alerts import Alert, AlertState
from schemas.control.policies import UNKNOWN_DATA_CLASS, UNREGISTERED_USE_CASE, VIOLATIONS
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import ALL_CALLS
from streams.agents.policy.episode import QUESTION, Episode, Key
from streams.agents.policy.limits import PolicyLimits
from streams.agents.policy.months import GovernanceMonths
from streams.agents.policy.rows import PolicyRow, policy_rows
from streams.agents.policy.texts import Ended, policy_alert
from streams.agents.watermarks import Moment

_MINUTE_US: Final = 60_000_000
_TOLD: Final = (*VIOLATIONS, QUESTION)
_NEVER: Final = 2**62
#: Between the parts of an episode's key; none of them may contain it.
_BETWEEN: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class _Heard:
    """One message: its rows, where event time stood after it, and the control position that its range was judged by."""

    rows: tuple[PolicyRow, ...]
    moment: Moment
    control: int

    @property
    def minute(self) -> int:
        """Minute that the watermark has reached; below all event time before there is one."""
        return -_NEVER if self.moment.watermark_us is None else self.moment.watermark_us // _MINUTE_US


@dataclass(frozen=True, slots=True)
class _Telling:
    """What every alert of one settlement needs, and where it goes."""

    control: ControlSnapshot
    now_us: int
    alerts: list[Alert]


class PolicyWatch:
    """All rules that are at home in one shard."""

    def __init__(self, limits: PolicyLimits, historical_after_us: int) -> None:
        self._limits = limits
        self._historical_after_us = historical_after_us
        self.episodes: dict[Key, Episode] = {}
        self.months = GovernanceMonths()
        self._heard: list[_Heard] = []
        self._changed: set[Key] = set()
        #: No episode ends, and none is forgotten, before the watermark reaches this minute.
        self._quiet_until = -_NEVER
        self._control = 0

    def offer(self, tables: Sequence[pa.Table], moment: Moment, control: int) -> None:
        """Take one message in log order."""
        rows = tuple(policy_rows(tables))
        if rows or self.episodes or self._heard:
            self._heard.append(_Heard(rows, moment, control))

    def settle(self, watermark_us: int | None, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Judge what was offered."""
        telling = _Telling(control, now_us, [])
        for heard in self._heard:
            for row in heard.rows:
                if row.rule == ALL_CALLS:
                    self.months.add(row)
                elif row.verdict in _TOLD:
                    self._take(row, heard, telling)
            if heard.minute >= self._quiet_until:
                self._end_quiet(heard.minute, telling)
        self._heard.clear()
        self.months.turn(watermark_us)
        # Before the first position nothing is known, not even that there are no policies.
        if control.position > self._control:
            self._control = control.position
            self._end_answered(telling)
        return telling.alerts

    def _take(self, row: PolicyRow, heard: _Heard, telling: _Telling) -> None:
        key = Key.of(row)
        if telling.control.position >= max(heard.control, 1) and _answer(key, telling.control) is not None:
            # Judged by documents that have gone meanwhile.
            return
        episode = self.episodes.get(key)
        if episode is not None and not episode.has_ended:
            quiet = episode.end + self._patience(episode)
            if min(heard.minute, row.minute) < quiet:
                self._go_on(episode, row, heard, telling)
                return
            self._end(episode, "quiet", telling)
        elif episode is not None and row.minute < episode.end:
            # Late calls of what was told and is over.
            episode.add(row, heard.control)
            self._changed.add(key)
            return
        if row.minute + 60 + self._limits.forget_minutes > heard.minute:
            self._begin(row, heard, telling)

    def _begin(self, row: PolicyRow, heard: _Heard, telling: _Telling) -> None:
        append_us = telling.now_us if heard.moment.append_us is None else heard.moment.append_us
        episode = Episode.begin(row, heard.control, append_us, self._historical_after_us)
        self.episodes[episode.key] = episode
        self._quiet_until = min(self._quiet_until, self._due(episode))
        self._tell(episode, "firing", None, telling)

    def _go_on(self, episode: Episode, row: PolicyRow, heard: _Heard, telling: _Telling) -> None:
        episode.add(row, heard.control)
        self._changed.add(episode.key)
        is_question = episode.key.verdict == QUESTION
        if not is_question and episode.calls >= 2 * max(episode.told, self._limits.least_calls):
            episode.told = episode.calls
            episode.revision += 1
            self._tell(episode, "updated", None, telling)

    def _end(self, episode: Episode, why: Ended, telling: _Telling) -> None:
        episode.has_ended = True
        episode.revision += 1
        self._tell(episode, "resolved", why, telling)

    def _end_quiet(self, minute: int, telling: _Telling) -> None:
        for key in sorted(self.episodes):
            episode = self.episodes[key]
            if not episode.has_ended and minute >= episode.end + self._patience(episode):
                self._end(episode, "withdrawn" if key.verdict == QUESTION else "quiet", telling)
            if minute >= episode.end + self._limits.forget_minutes:
                del self.episodes[key]
                self._changed.add(key)
        self._quiet_until = min(map(self._due, self.episodes.values()), default=_NEVER)

    def _end_answered(self, telling: _Telling) -> None:
        for key, episode in sorted(self.episodes.items()):
            answer = _answer(key, telling.control)
            # What newer documents find is told until we know them.
            if answer is not None and not episode.has_ended and telling.control.position >= episode.control:
                self._end(episode, answer, telling)

    def _patience(self, episode: Episode) -> int:
        return self._limits.forget_minutes if episode.key.verdict == QUESTION else self._limits.quiet_minutes

    def _due(self, episode: Episode) -> int:
        """The minute at which it ends, or is forgotten, when no more calls come."""
        return episode.end + (self._limits.forget_minutes if episode.has_ended else self._patience(episode))

    def _tell(self, episode: Episode, state: AlertState, why: Ended | None, telling: _Telling) -> None:
        self._changed.add(episode.key)
        patience = self._patience(episode)
        telling.alerts.append(policy_alert(episode, state, why, patience, telling.control, telling.now_us))

    def reconcile(self, told: Iterable[Alert]) -> None:
        """After a rebuild: what runs and what has ended is what `told` (the newest state of each alert) says. What was
        never told begins anew with its next call.
        """
        counted = {key: episode for key, episode in self.episodes.items() if not episode.has_ended}
        self._changed.update(self.episodes)
        self.episodes.clear()
        for alert in sorted(told, key=lambda alert: (alert.window.start, alert.state != "resolved")):
            episode = Episode.of_alert(alert)
            self.episodes[episode.key] = episode
            self._changed.add(episode.key)
        for key, episode in self.episodes.items():
            known = counted.get(key)
            if known is not None and not episode.has_ended and known.calls >= episode.calls:
                # Counted from tallies that still stand, since the episode was last told.
                episode.calls, episode.cost, episode.places = known.calls, known.cost, known.places
                episode.end = max(episode.end, known.end)
        self._quiet_until = -_NEVER

    def take_documents(self) -> dict[str, str | None]:
        """Episodes and months that changed, as JSON by key; None: forgotten."""
        documents = {
            f"violation/{_BETWEEN.join(key)}": self.episodes[key].dump() if key in self.episodes else None
            for key in self._changed
        }
        self._changed.clear()
        return documents | self.months.take_documents()

    def documents(self) -> dict[str, str | None]:
        self._changed = set(self.episodes)
        self.months.mark_all()
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        for key, text in documents.items():
            if key.startswith("violation/"):
                episode = Episode.load(text)
                self.episodes[episode.key] = episode
        self.months.restore(documents)


def _answer(key: Key, control: ControlSnapshot) -> Ended | None:
    """Why the documents leave nothing to tell; None while they do."""
    if key.rule == UNREGISTERED_USE_CASE:
        return "registered" if key.subject in control.use_cases or not control.use_cases else None
    if key.rule == UNKNOWN_DATA_CLASS:
        return "named" if _is_named(key.subject, control) else None
    known = key.rule in control.policies or key.rule.removeprefix("model/") in control.models
    return None if known else "gone"


def _is_named(data_class: str, control: ControlSnapshot) -> bool:
    return (
        any(one.data_class == data_class for one in control.use_cases.values())
        or any(data_class in one.when.data_class for one in control.policies.values())
        or any(data_class in one.approved_for for one in control.models.values())
    )

"""In: event time of one shard, answers of the reviewer, what people said. Out: questions that are due, and alerts.

One shard of all is the home of reviews. When its watermark passes an hour, workflows are due; when it passes a day,
use cases are, over weeks that closed a day ago at the least, since outcomes are known late.

1. due: the question, with the source offsets that the shard has applied, goes into the checkpoint;
2. the reviewer asks it beside the shard, once ClickHouse has everything below these offsets, as often as it takes;
3. its answer is judged: alerts, episodes and that the question is answered are all of one checkpoint.

A crash before the commit of 1 has asked nothing; after it, the next owner asks the same question again; after 3 nothing
is asked or told twice. A newer hour takes the place of one that is not answered yet: a review looks back over weeks, so
none has to be made up for. Old event time is not reviewed at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtime.clock import to_datetime
from schemas.alerts import Alert
from schemas.control.periods import HOUR_US
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.history import Before
from streams.agents.reviews.divergences import Divergences
from streams.agents.reviews.episode import Episode
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import (
    DivergenceQuestion,
    Question,
    RegressionQuestion,
    UseCases,
    Workflow,
    Workflows,
    kind_of,
)
from streams.agents.reviews.regressions import Regressions
from streams.agents.reviews.reviewer import Reviewed
from streams.agents.reviews.said import said_of
from streams.agents.watermarks import Moment

HOME: Final = "reviews"
_DAY: Final = 24
#: Monday 1970-01-05, in hours since the epoch.
_FIRST_MONDAY: Final = 4 * _DAY
_WEEK: Final = 7 * _DAY
#: Workflows that are judged in one settlement.
_AT_ONCE: Final = 4
_BETWEEN: Final = "\x1f"
_CLOCK: Final = "review/clock"


@dataclass(slots=True)
class _Judging:
    """An answer, and the next of its workflows."""

    question: RegressionQuestion
    answer: Workflows
    next: int = 0


class Reviews:
    """Of one shard. `enabled`: somebody takes the questions."""

    def __init__(self, policy: ReviewPolicy, partition: int, tallies: int, historical_after_us: int) -> None:
        self.enabled = False
        self._policy = policy
        self._partition = partition
        self._is_home = policy.enabled and home_partition(HOME, tallies) == partition
        self._historical_after_us = historical_after_us
        self.regressions = Regressions(policy)
        self.divergences = Divergences(policy)
        #: The newest hour and day that were due.
        self._hour: int | None = None
        self._day: int | None = None
        self._asked: dict[str, Question] = {}
        #: Handed over in this life of the process.
        self._handed: set[str] = set()
        self._answers: list[Reviewed] = []
        self._judging: _Judging | None = None
        self._clock_changed = False

    def settle(self, moment: Moment, applied: Before, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Judge what was answered, tell what people said, note what is due."""
        alerts: list[Alert] = []
        for reviewed in self._answers:
            alerts += self._judge(reviewed, control, now_us)
        self._answers.clear()
        alerts += self._judge_some(control, now_us)
        alerts += self._hear(moment, control, now_us)
        if self._is_home and self.enabled:
            self._note(moment, applied, now_us)
        return alerts

    def take_questions(self) -> list[Question]:
        """Those that nobody was given yet."""
        fresh = [question for kind, question in self._asked.items() if kind not in self._handed]
        self._handed.update(self._asked)
        return fresh if self.enabled else []

    def give(self, answers: Iterable[Reviewed]) -> None:
        """For the next settlement."""
        self._answers += answers

    def reconcile(self, told: Iterable[Alert]) -> None:
        """After a rebuild: `told` has the newest state of each alert."""
        if not self._is_home:
            return
        listed = list(told)
        self.regressions.remember(alert for alert in listed if alert.kind == "workflow_regression")
        self.divergences.remember(alert for alert in listed if alert.kind == "value_divergence")

    def __len__(self) -> int:
        return len(self.regressions.episodes) + len(self.divergences.episodes)

    def _note(self, moment: Moment, applied: Before, now_us: int) -> None:
        if moment.watermark_us is None:
            return
        append_us = now_us if moment.append_us is None else moment.append_us
        if append_us - moment.watermark_us > self._historical_after_us:
            return
        hour = moment.watermark_us // HOUR_US
        if self._hour is None or hour > self._hour:
            self._hour = hour
            policy = self._policy
            running = self.regressions.running
            self._ask(
                RegressionQuestion(
                    self._partition,
                    hour,
                    dict(applied),
                    running,
                    policy.ratio,
                    policy.least_calls,
                    policy.least_extra,
                )
            )
        day = hour // _DAY
        if self._day is None or day > self._day:
            self._day = day
            monday = ((day - 1) * _DAY - _FIRST_MONDAY) // _WEEK * _WEEK + _FIRST_MONDAY
            self._ask(DivergenceQuestion(self._partition, monday, dict(applied)))

    def _ask(self, question: Question) -> None:
        kind = kind_of(question)
        self._asked[kind] = question
        self._handed.discard(kind)
        self._clock_changed = True

    def _judge(self, reviewed: Reviewed, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Answers to what is not asked any more are left out."""
        question, answer = reviewed.question, reviewed.answer
        kind = kind_of(question)
        if self._asked.get(kind) != question:
            return []
        if isinstance(answer, Workflows):
            assert isinstance(question, RegressionQuestion)
            self._judging = _Judging(question, answer)
            return []
        assert isinstance(answer, UseCases)
        self._done(question)
        return self.divergences.judge(answer, question.until_hour, control, now_us)

    def _judge_some(self, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """The next few workflows, so that no settlement takes long. What a crash leaves is asked and judged again:
        those that were told run, and tell nothing new.
        """
        judging = self._judging
        if judging is None:
            return []
        if self._asked.get(kind_of(judging.question)) != judging.question:
            self._judging = None
            return []
        answer, until = judging.answer, judging.question.until_hour
        some = answer.workflows[judging.next : judging.next + _AT_ONCE]
        judging.next += _AT_ONCE
        told = [self.regressions.take(found, answer.spikes, until, control, now_us) for found in some]
        alerts = [alert for alert in told if alert is not None]
        if judging.next >= len(answer.workflows):
            heard = {found.workflow for found in answer.workflows}
            alerts += self.regressions.end_others(heard, until, now_us)
            self._judging = None
            self._done(judging.question)
        return alerts

    def _done(self, question: Question) -> None:
        kind = kind_of(question)
        del self._asked[kind]
        self._handed.discard(kind)
        self._clock_changed = True

    def _hear(self, moment: Moment, control: ControlSnapshot, now_us: int) -> list[Alert]:
        """Acknowledged goes on; expected and noise end it at once, and its level is taken as the usual."""
        alerts = []
        floor = 0 if moment.watermark_us is None else moment.watermark_us // HOUR_US
        for book in (self.regressions, self.divergences):
            for name, episode in sorted(book.episodes.items()):
                said = said_of(episode.alert, control) if episode.runs else None
                if said is None:
                    continue
                last = episode.alert
                changes: dict[str, Any] = {
                    "revision": last.revision + 1,
                    "state": "updated" if said == "acknowledged" else "resolved",
                    "said": said,
                    "evaluated_at": to_datetime(now_us),
                }
                if said != "acknowledged":
                    changes["suggested_action"] = "None."
                alert = last.model_copy(update=changes)
                book.close(name, alert, max(floor, episode.since_hour))  # type: ignore[arg-type]
                alerts.append(alert)
        return alerts

    def take_documents(self) -> dict[str, str | None]:
        """What changed since the last call, as JSON by key; None: forgotten."""
        documents: dict[str, str | None] = {}
        for name in self.regressions.changed:
            kept = self.regressions.episodes.get(name)
            documents[f"regression/{_BETWEEN.join(name)}"] = None if kept is None else kept.dump()
        for use_case in self.divergences.changed:
            kept = self.divergences.episodes.get(use_case)
            documents[f"divergence/{use_case}"] = None if kept is None else kept.dump()
        if self._clock_changed:
            documents[_CLOCK] = json.dumps(
                {
                    "hour": self._hour,
                    "day": self._day,
                    "asked": {kind: _dump(question) for kind, question in sorted(self._asked.items())},
                }
            )
        self.regressions.changed.clear()
        self.divergences.changed.clear()
        self._clock_changed = False
        return documents

    def documents(self) -> dict[str, str | None]:
        """Everything."""
        self.regressions.changed.update(self.regressions.episodes)
        self.divergences.changed.update(self.divergences.episodes)
        self._clock_changed = self._hour is not None or bool(self._asked)
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        for key, text in documents.items():
            kind, _, name = key.partition("/")
            if kind == "regression":
                team, _, workflow = name.partition(_BETWEEN)
                self.regressions.episodes[Workflow(team, workflow)] = Episode.load(text)
            elif kind == "divergence":
                self.divergences.episodes[name] = Episode.load(text)
            elif key == _CLOCK:
                fields = json.loads(text)
                self._hour, self._day = fields["hour"], fields["day"]
                self._asked = {kind: _load(self._partition, kept) for kind, kept in fields["asked"].items()}


def _dump(question: Question) -> dict[str, Any]:
    fields: dict[str, Any] = {"until": question.until_hour, "below": list(question.below.items())}
    if isinstance(question, RegressionQuestion):
        fields["running"] = [list(name) for name in question.running]
        fields["policy"] = [question.ratio, question.least_calls, question.least_extra]
    return fields


def _load(partition: int, fields: Mapping[str, Any]) -> Question:
    below = {int(place): int(offset) for place, offset in fields["below"]}
    if "running" not in fields:
        return DivergenceQuestion(partition, fields["until"], below)
    running = tuple(Workflow(*name) for name in fields["running"])
    return RegressionQuestion(partition, fields["until"], below, running, *fields["policy"])

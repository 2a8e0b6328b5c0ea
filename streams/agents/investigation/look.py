"""In: alerts on budgets that fire, event time, answers. Out: questions, and `updated` revisions of those alerts.

One look for causes per crossing, and one an hour of event time after a soft or hard level, whether a sibling took over.
Which looks are open or done stands in the checkpoint, in the transaction of the alert that they lead to: whatever dies
when, nothing is told twice; what was open is asked again. Alerts of old event time, and those on one person's budget,
are not looked into.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.periods import HOUR_US
from streams.agents.budget_texts import budget_alert
from streams.agents.crossings import Crossing, CrossingKey
from streams.agents.history import Before
from streams.agents.investigation.detail import CauseQuestion, Detail, Moves, Question, SiblingQuestion, Span
from streams.agents.investigation.wording import Explanation, explain, moved

if TYPE_CHECKING:
    from streams.agents.budgets import BudgetBook
    from streams.agents.investigation.investigator import Looked

_DAY_US: Final = 24 * HOUR_US
Stage = Literal["causes", "sibling", "done"]


@dataclass(frozen=True, slots=True)
class _Look:
    """`at_us`: event time of the crossing."""

    stage: Stage
    at_us: int


class Looks:
    """Of one shard. `enabled`: somebody takes the questions."""

    def __init__(self) -> None:
        self.enabled = False
        self._looks: dict[CrossingKey, _Look] = {}
        self._open: set[CrossingKey] = set()
        #: Asked in this life of the process.
        self._asked: set[tuple[CrossingKey, Stage]] = set()
        self._fresh: list[Question] = []
        self._answers: list[Looked] = []
        self._changed: set[CrossingKey] = set()
        self._pruned: int | None = None

    def settle(
        self,
        alerts: Iterable[Alert],
        book: BudgetBook,
        partition: int,
        applied: Before,
        watermark_us: int | None,
        now_us: int,
    ) -> list[Alert]:
        """Note what has just fired, ask what is due, and tell what was answered. `alerts`: all of this settlement."""
        if self.enabled:
            self._note(alerts)
        told = [alert for looked in self._answers if (alert := self._answered(looked, book, now_us)) is not None]
        self._answers.clear()
        for key in sorted(self._open, key=CrossingKey.text):
            look, crossing = self._looks[key], book.verdicts.crossings.all.get(key)
            if crossing is None or crossing.state != "firing":
                self._put(key, replace(look, stage="done"))
            elif (key, look.stage) not in self._asked and self.enabled:
                question = _question(look, crossing, partition, dict(applied), watermark_us)
                if question is not None:
                    self._asked.add((key, look.stage))
                    self._fresh.append(question)
        self._prune(book, watermark_us)
        return told

    def take_questions(self) -> list[Question]:
        fresh, self._fresh = self._fresh, []
        return fresh

    def give(self, answers: Iterable[Looked]) -> None:
        """For the next settlement."""
        self._answers += answers

    def _note(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            if alert.kind != "budget" or alert.state != "firing" or alert.historical or alert.scope.one_person:
                continue
            assert alert.budget_id is not None
            assert alert.level is not None
            key = CrossingKey(alert.budget_id, moment_us(alert.window.start), alert.level)
            if key not in self._looks:
                self._put(key, _Look("causes", moment_us(alert.occurred_at)))

    def _put(self, key: CrossingKey, look: _Look) -> None:
        self._looks[key] = look
        (self._open.discard if look.stage == "done" else self._open.add)(key)
        self._changed.add(key)

    def _answered(self, looked: Looked, book: BudgetBook, now_us: int) -> Alert | None:
        if not isinstance(looked.question, CauseQuestion | SiblingQuestion):
            raise TypeError(f"a question about a budget was expected, not {looked.question}")
        key = looked.question.key
        look, crossing = self._looks.get(key), book.verdicts.crossings.all.get(key)
        stage: Stage = "causes" if isinstance(looked.question, CauseQuestion) else "sibling"
        if look is None or look.stage != stage:
            return None
        follows = stage == "causes" and key.level != "warning"
        self._put(key, replace(look, stage="sibling" if follows else "done"))
        if crossing is None or crossing.state != "firing":
            return None
        explanation: Explanation | None = None
        if isinstance(looked.found, Detail):
            explanation = explain(crossing.budget, looked.found)
        elif isinstance(looked.found, Moves):
            explanation = moved(crossing.budget, looked.found)
        return None if explanation is None else _updated(book, crossing, explanation, now_us)

    def _prune(self, book: BudgetBook, watermark_us: int | None) -> None:
        """Forget looks of crossings that are forgotten, once a day of event time."""
        day = None if watermark_us is None else watermark_us // _DAY_US
        if day == self._pruned:
            return
        self._pruned = day
        for key in [key for key in self._looks if key not in book.verdicts.crossings.all]:
            del self._looks[key]
            self._open.discard(key)
            self._changed.add(key)

    def take_documents(self) -> dict[str, str | None]:
        """What changed since the last call, as JSON by key; None: gone."""
        documents: dict[str, str | None] = {}
        for key in self._changed:
            look = self._looks.get(key)
            documents[f"look/{key.text()}"] = (
                None if look is None else json.dumps([key.budget_id, key.period_start_us, key.level, *_dump(look)])
            )
        self._changed.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        """Everything."""
        self._changed.update(self._looks)
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        for name, text in documents.items():
            if name.startswith("look/"):
                budget_id, start_us, level, stage, at_us = json.loads(text)
                self._put(CrossingKey(budget_id, start_us, level), _Look(stage, at_us))
        self._changed.clear()


def _dump(look: _Look) -> tuple[str, int]:
    return look.stage, look.at_us


def _question(
    look: _Look, crossing: Crossing, partition: int, applied: Before, watermark_us: int | None
) -> Question | None:
    """None: it is not time yet."""
    budget = crossing.budget
    selectors = budget.scope.selectors()
    if look.stage == "causes":
        now: Span = (crossing.key.period_start_us, look.at_us + 1)
        length = now[1] - now[0]
        shift = _DAY_US if budget.period in ("hour", "day") else 7 * _DAY_US if budget.period == "week" else length
        before: Span = (now[0] - shift, now[1] - shift)
        return CauseQuestion(partition, crossing.key, selectors, budget.unit, now, before, applied)
    if watermark_us is None or watermark_us < look.at_us + HOUR_US:
        return None
    hours: tuple[Span, Span] = (look.at_us - HOUR_US, look.at_us), (look.at_us, look.at_us + HOUR_US)
    return SiblingQuestion(partition, crossing.key, selectors, budget.unit, *hours, applied)


def _updated(book: BudgetBook, crossing: Crossing, explanation: Explanation, now_us: int) -> Alert:
    crossing = replace(crossing, revision=crossing.revision + 1)
    book.verdicts.crossings.put(crossing)
    alert = budget_alert(crossing, "updated", "explained", now_us)
    return alert.model_copy(
        update={
            "summary": f"{alert.summary} {explanation.sentence}",
            "explanation": explanation.causes,
            "unexplained_share": explanation.unexplained,
        }
    )

"""In: budgets that have missed something, and answers of the history. Out: one question at a time, totals made whole.

The answer replaces, it is not a patch. When every input partition is tallied with the budget, the shard notes what its
tallies have brought of the budget so far (`counted`), up to which source offset of each partition that is (`before`),
and up to which offset of `usage.adjustments` it has added corrections (`adjusted`); and it asks what was used before
`before`, whoever counted it. The total becomes answer + total now - counted: so it does not matter which of these rows
the tallies had (a budget that went and came again, tallies that were lost), and what came since stays.

1. ask; the shard goes on counting and telling what is certain;
2. the asker waits until the history reaches `before`, beside the shard;
3. fold the answer, judge the levels, and note that the budget is based: all of one checkpoint.

A crash before the commit of 3 has changed nothing: the next owner asks again, by its own positions. After it the
checkpoint says that the budget is based: nothing is added twice.

Corrections: every row of the history is there once, so a resend counts once in the answer, corrected or not. A
correction below `adjusted` is in `counted`, and leaves with it; one beyond is not, and stays in the total. Hence the
history must answer as of `adjusted`: every new price below it is in the answer, none beyond it is; and of ranges that
were tallied with the budget, no resend may still lack its correction there, for that would come later and take away
what the answer has only once. A resend in a range from before the budget is harmless: its correction knows nothing of
the budget. Not covered: a price that is published by a command which read the control documents before the budget was
made, after the answer was folded. `streamgauge reconcile` names the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from schemas.alerts import Alert
from schemas.control.budgets import Budget
from schemas.control.periods import MINUTE_US, period_of
from streams.agents.arrow_columns import integers
from streams.agents.base.judging import judge_base
from streams.agents.base.reached import Reached
from streams.agents.crossing_times import QUARTER_MINUTES
from streams.agents.history import BaseQuestion, Wanted
from streams.agents.sums import group, pack
from streams.agents.totals import FIRED, USED_MEASURES

if TYPE_CHECKING:
    from streams.agents.budgets import BudgetBook
    from streams.agents.verdicts import Timeline

#: What a forecast wants to know of the time before: five weeks.
LOOK_BACK_US: Final = 35 * 86_400_000_000
#: Budgets in one question.
_AT_ONCE: Final = 200
_WIDTH: Final = len(USED_MEASURES)

#: Told of each budget whose base is folded: the budget, quarters of an hour (their first minute), sums[n, 5].
Listener = Callable[[Budget, np.ndarray, np.ndarray], None]


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a budget's tallies had brought when the question was asked: by period start and by open quarter, minutes."""

    starts: np.ndarray
    sums: np.ndarray
    quarters: np.ndarray
    quarter_sums: np.ndarray


@dataclass(frozen=True, slots=True)
class _Asked:
    question: BaseQuestion
    counted: tuple[_Counted, ...]
    losses: int


class Bases:
    """The questions of one shard. `enabled`: somebody takes them."""

    def __init__(self) -> None:
        self.enabled = False
        self.listeners: list[Listener] = []
        self._asked: _Asked | None = None
        self._fresh: BaseQuestion | None = None
        self._answer: list[pa.Table] | None = None

    @property
    def is_answered(self) -> bool:
        """Whether an answer waits to be folded."""
        return self._answer is not None

    def ask(
        self, book: BudgetBook, partition: int, applied: Mapping[int, int], adjusted: int, watermark_us: int | None
    ) -> None:
        """Step 1, right after everything that was offered is folded. `applied` is the shard's own vector."""
        counting = book.counting
        if not self.enabled or self._asked is not None or watermark_us is None or not counting.unbased:
            return
        wanted: list[Wanted] = []
        counted: list[_Counted] = []
        for budget_id in sorted(counting.unbased):
            budget, term = book.budget(budget_id), counting.terms.get(budget_id)
            if budget is None or term is None or term.missed_us is None:
                continue
            if not counting.is_missing(budget_id):
                counting.unbased.discard(budget_id)
                continue
            needed_us = min([watermark_us, *_starts(book, budget, watermark_us)])
            needed, first = (max(0, us // MINUTE_US) for us in (needed_us, min(needed_us, watermark_us - LOOK_BACK_US)))
            wanted.append(Wanted(budget_id, budget.rule, budget.scope.selectors(), first, term.since, needed))
            counted.append(_counted(book, budget))
            if len(wanted) == _AT_ONCE:
                break
        if wanted:
            self._fresh = BaseQuestion(partition, tuple(wanted), dict(applied), adjusted)
            self._asked = _Asked(self._fresh, tuple(counted), counting.losses)

    def take_question(self) -> BaseQuestion | None:
        """A question that nobody has taken yet."""
        fresh, self._fresh = self._fresh, None
        return fresh

    def give(self, question: BaseQuestion, answer: list[pa.Table]) -> None:
        """The history's answer, for the next settlement. One to an older question is passed over."""
        if self._asked is not None and self._asked.question is question:
            self._answer = answer

    def wait(self, book: BudgetBook, question: BaseQuestion, why: str, *, renew: bool) -> None:
        """What is waited for. `renew`: this question cannot be answered any more; the next settlement asks anew."""
        if self._asked is None or self._asked.question is not question:
            return
        for wanted in question.wanted:
            if wanted.budget_id in book.counting.terms:
                book.counting.wait(wanted.budget_id, why)
        if renew:
            self._asked = self._fresh = None

    def fold(self, book: BudgetBook, timeline: Timeline, alerts: list[Alert], now_us: int) -> np.ndarray:
        """Step 3. The keys of totals that changed."""
        asked, answer = self._asked, self._answer
        if asked is None or answer is None:
            return np.zeros(0, np.uint64)
        self._asked = self._answer = None
        changed: list[np.ndarray] = [np.zeros(0, np.uint64)]
        for wanted, counted, rows in zip(asked.question.wanted, asked.counted, answer, strict=True):
            budget, term = book.budget(wanted.budget_id), book.counting.terms.get(wanted.budget_id)
            if budget is None or term is None or (term.rule, term.since) != (wanted.rule, wanted.since):
                # It went, or went and came again, having missed more than the question was about.
                continue
            minutes = np.maximum(integers(rows["minute"]), 0)
            sums = np.stack([integers(rows[name]) for name in USED_MEASURES], axis=1)
            order = np.argsort(minutes, kind="stable")
            minutes, sums = minutes[order], sums[order]
            changed.append(self._replace(book, budget, counted, minutes, sums, timeline, alerts, now_us))
            book.counting.base(wanted.budget_id, wanted.needed_minute * MINUTE_US, asked.losses)
            for listener in self.listeners:
                listener(budget, minutes, sums)
        return np.unique(np.concatenate(changed))

    def _replace(
        self,
        book: BudgetBook,
        budget: Budget,
        counted: _Counted,
        minutes: np.ndarray,
        sums: np.ndarray,
        timeline: Timeline,
        alerts: list[Alert],
        now_us: int,
    ) -> np.ndarray:
        """Put the answer in the place of what was counted, in each period that was not counted whole; judge it."""
        number, watermark_us = book.totals.number(budget), timeline.last.watermark_us
        keys: list[int] = []
        for start_us in _starts(book, budget, watermark_us):
            if book.counting.reason(budget.id, start_us) is None:
                continue
            period = period_of(budget, start_us)
            assert period is not None
            start, end = max(0, start_us // MINUTE_US), period.end_us // MINUTE_US
            key = (number << 32) | start
            if not book.totals.kept(np.array([key], np.uint64), watermark_us)[0]:
                # Let go of since the question: what had been counted is not in the totals any more.
                continue
            inside = (minutes >= start) & (minutes < end)
            total = np.zeros((1, FIRED + 1), np.int64)
            total[0, :_WIDTH] = sums[inside].sum(axis=0) - counted.sums[counted.starts == start].sum(axis=0)
            book.totals.table.add(np.array([key], np.uint64), total)
            self._replace_quarters(book, number, counted, start, end, minutes[inside], sums[inside], watermark_us)
            reached = Reached(budget.unit, minutes[inside], sums[inside], timeline.last.max_event_us)
            alerts += judge_base(book.verdicts, book.effective(budget, key), key, reached, timeline, now_us)
            keys.append(key)
        return np.array(keys, np.uint64)

    def _replace_quarters(
        self,
        book: BudgetBook,
        number: int,
        counted: _Counted,
        start: int,
        end: int,
        minutes: np.ndarray,
        sums: np.ndarray,
        watermark_us: int | None,
    ) -> None:
        """The same for the quarters of an hour that the watermark has not passed, by which levels are dated."""
        floor = 0 if watermark_us is None else watermark_us // MINUTE_US - QUARTER_MINUTES + 1
        new = minutes >= floor
        old = (counted.quarters >= max(floor, start)) & (counted.quarters < end)
        owner = np.full(int(new.sum() + old.sum()), number)
        quarters = np.concatenate([minutes[new], counted.quarters[old]])
        amounts = np.concatenate([sums[new], -counted.quarter_sums[old]])
        book.quarters.table.add(*group(pack(owner, quarters), amounts))


def _starts(book: BudgetBook, budget: Budget, watermark_us: int | None) -> list[int]:
    """Starts, µs, of the periods that count: those on the status topic, and those with use that have not ended."""
    found = set(book.published_starts(budget.id))
    minutes, _ = book.totals.table.owner_rows(book.totals.number(budget))
    for start in minutes.tolist():
        period = period_of(budget, start * MINUTE_US)
        if period is not None and (watermark_us is None or period.end_us > watermark_us):
            found.add(period.start_us)
    running = None if watermark_us is None else period_of(budget, watermark_us)
    return sorted(found if running is None else found | {running.start_us})


def _counted(book: BudgetBook, budget: Budget) -> _Counted:
    number = book.totals.number(budget)
    starts, sums = book.totals.table.owner_rows(number)
    quarters, quarter_sums = book.quarters.table.owner_rows(number)
    # The tables change in place.
    return _Counted(starts.copy(), sums[:, :_WIDTH].copy(), quarters.copy(), quarter_sums.copy())

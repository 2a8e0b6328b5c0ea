"""In: budget rows, the control snapshot, event time. Out: alerts on levels and exceptions, statuses to publish, and
what must be remembered.

A shard judges the budgets whose home it is; all rows of a budget come there, so no other shard has a say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import MINUTE_US, BudgetPeriod, running_period
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.base.bases import Bases
from streams.agents.batch import BudgetRows
from streams.agents.budget_documents import BudgetDocuments
from streams.agents.counting import Counting
from streams.agents.crossing_times import OpenQuarters
from streams.agents.crossings import CrossingKey
from streams.agents.exceptions.grants import Effective
from streams.agents.exceptions.spent import used_of_extra
from streams.agents.exceptions.watch import ExceptionWatch
from streams.agents.floors import Floors
from streams.agents.holdings import Holdings
from streams.agents.status_book import Haste, StatusBook
from streams.agents.status_writer import StatusRecord, StatusWriter
from streams.agents.statuses import Counted, shown_period
from streams.agents.stretches import Stretch, stretches
from streams.agents.sums import windows
from streams.agents.totals import Totals
from streams.agents.verdicts import Timeline, Verdicts
from streams.agents.watermarks import Moment


class BudgetBook:
    """Everything that one shard knows of its home budgets."""

    def __init__(self, partition: int, partitions: int, input_partitions: int, historical_after_us: int) -> None:
        self._partition, self._partitions = partition, partitions
        self.totals = Totals()
        self.quarters = OpenQuarters()
        self.counting = Counting(input_partitions)
        self.bases = Bases()
        self.verdicts = Verdicts(self.totals, historical_after_us)
        self.holdings = Holdings(self.totals)
        self.exceptions = ExceptionWatch(partition, partitions, historical_after_us)
        self.statuses = StatusBook()
        self.writer = StatusWriter(self.holdings, self.totals, self.counting)
        self._documents = BudgetDocuments(self.verdicts.crossings, self.exceptions, self.counting, self.statuses)
        self._control = -1
        self._watermark_us: int | None = None
        self._now_us = 0

    def budget(self, budget_id: str) -> Budget | None:
        """The document of a home budget."""
        return self.holdings.home.get(budget_id)

    def by_number(self) -> Mapping[int, Budget]:
        """The home budgets by their number in the totals; another mapping whenever documents changed."""
        return self.holdings.plan.by_number

    def published_starts(self, budget_id: str) -> tuple[int, ...]:
        """Starts (µs) of its periods whose status stands."""
        return self.statuses.starts(budget_id)

    def settle(
        self,
        rows: BudgetRows,
        timeline: Timeline,
        control: ControlSnapshot,
        now_us: int,
        corrections: BudgetRows | None = None,
    ) -> list[Alert]:
        """Fold a batch and judge every level that it, its corrections or a newer control snapshot touched.

        What comes from beside the log counts first, as event time stood before the batch; then stretch by stretch.
        """
        self._now_us = now_us
        alerts: list[Alert] = []
        before = timeline.last if timeline.before is None else timeline.before
        opening = Timeline((), before, before)
        self._watermark_us = before.watermark_us
        changed = self._take_control(control, alerts, now_us)
        if changed is not None:
            alerts += self._tell_exceptions(before, now_us)
            alerts += [alert for one in changed for alert in self._judge_budget(one, opening, now_us)]
            alerts += self._judge_acknowledged(now_us)
        touched = [np.zeros(0, np.uint64)]
        if corrections is not None:
            touched.append(self._correct(corrections, opening, alerts, now_us))
        touched.append(self.bases.fold(self, opening, alerts, now_us))
        grants = self.holdings.grants
        touched += [
            self._take_stretch(stretch, alerts, now_us) for stretch in stretches(rows, timeline, grants.boundaries)
        ]
        settled = self.counting.settle()
        self._documents.changed.update(settled)
        self._due_statuses(settled, np.unique(np.concatenate(touched)), alerts, timeline.last, now_us)
        return alerts

    def _take_stretch(self, stretch: Stretch, alerts: list[Alert], now_us: int) -> np.ndarray:
        """One part of a batch, in which no limit turns; the keys of totals that changed."""
        timeline, earlier_us = stretch.timeline, self._watermark_us
        self._watermark_us = timeline.last.watermark_us
        if stretch.turned:
            moment = timeline.moments[0]
            alerts += self._tell_exceptions(moment, now_us)
            for budget, turned_us in self.holdings.turned(earlier_us, moment.watermark_us):
                self.statuses.touch_all([budget.id])
                alerts += self._judge_budget(budget, Timeline((), moment, moment), now_us, turned_us)
        kept = self.totals.kept(stretch.rows.keys, self._watermark_us)
        rows = stretch.rows
        if not kept.all():
            rows = BudgetRows(rows.keys[kept], rows.order[kept], rows.minute[kept], rows.sums[kept])
        self.quarters.fold(rows)
        keys = self.totals.fold(rows)
        alerts += self.verdicts.judge_rows(keys, rows, self.holdings.plan, self.effective, timeline, now_us)
        alerts += self._judge_acknowledged(now_us)
        alerts += self.verdicts.judge_dates(rows, self.quarters, timeline, now_us)
        alerts += self.verdicts.judge_ends(rows, timeline, now_us)
        self.quarters.prune(self._watermark_us)
        self.totals.prune(self._watermark_us)
        self.verdicts.crossings.prune(self._watermark_us)
        return keys

    def effective(self, budget: Budget, key: int) -> Effective:
        """The budget as it holds in the period of a total's key, as event time stands."""
        if not self.holdings.grants.of(budget.id):
            return Effective(budget, budget)
        return self._effective(budget, running_period(budget, (key & 0xFFFF_FFFF) * MINUTE_US))

    def _effective(self, budget: Budget, period: BudgetPeriod) -> Effective:
        at_us = self._now_us if self._watermark_us is None else self._watermark_us
        return self.holdings.grants.effective(budget, period, at_us)

    def _take_control(self, control: ControlSnapshot, alerts: list[Alert], now_us: int) -> list[Budget] | None:
        """Bring the plan up to a newer snapshot; the home budgets that are new or hold otherwise. None: no news."""
        if control.position == self._control:
            return None
        self._control = control.position
        self.statuses.unsettle()
        home = {
            budget.id: budget
            for budget in control.budgets.values()
            if home_partition(f"budget/{budget.id}", self._partitions) == self._partition
        }
        terms = self.counting.terms
        # One that was removed and came again unseen has a gap: what was enriched meanwhile knows nothing of it.
        gone = [one for one in terms if one not in home or control.reborn.get(f"budget/{one}", -1) > terms[one].since]
        for budget_id in gone:
            alerts += self.verdicts.judge_gone(budget_id, "removed", now_us)
            self.counting.retire(budget_id)
            self.statuses.forget(budget_id)
            self._documents.changed.add(budget_id)
        for budget in home.values():
            if self.holdings.is_same(budget) and budget.id in terms:
                continue
            if self.counting.appear(
                budget.id, budget.rule, control.offsets.get(f"budget/{budget.id}", control.position - 1)
            ):
                alerts += self.verdicts.judge_gone(budget.id, "rule", now_us)
                self.statuses.forget(budget.id)
                self._documents.changed.add(budget.id)
        self.exceptions.take(control)
        changed = self.holdings.take(home, self.exceptions.approved(), self.exceptions.boundaries(), control)
        for budget in changed:
            self.statuses.renew(budget.id)
        self.totals.keep_by(Floors(self.holdings.plan.by_number))
        return changed

    def _tell_exceptions(self, moment: Moment, now_us: int) -> list[Alert]:
        return self.exceptions.settle(moment, self.holdings.home, self._standing_of, self._used_of_extra, now_us)

    def _standing_of(self, record: ExceptionGrant) -> tuple[int, int | None]:
        """What the exception's budget has used in its running period, and its limit there."""
        budget = self.budget(record.budget or "")
        if budget is None:
            return 0, None
        at_us = self._now_us if self._watermark_us is None else self._watermark_us
        period, _, _ = shown_period(budget, at_us)
        limit = self._effective(budget, period).budget.limit_units
        return self.totals.amount(budget, self.totals.key(budget, period.start_us)), limit

    def _used_of_extra(self, record: ExceptionGrant) -> int:
        budget = self.budget(record.budget or "")
        return 0 if budget is None else used_of_extra(record, budget, self.totals, self.holdings.grants)

    def _correct(self, corrections: BudgetRows, timeline: Timeline, alerts: list[Alert], now_us: int) -> np.ndarray:
        """Add what was corrected, and judge each total as a whole: there is no row that reached a level."""
        kept = self.totals.kept(corrections.keys, self._watermark_us)
        rows = BudgetRows(
            corrections.keys[kept], corrections.order[kept], corrections.minute[kept], corrections.sums[kept]
        )
        self.quarters.fold(rows)
        keys = self.totals.fold(rows)
        for key in keys.tolist():
            budget = self.by_number().get(key >> 32)
            if budget is not None:
                alerts += self.verdicts.judge_change(self.effective(budget, key), key, timeline, now_us)
        return keys

    def _judge_budget(
        self, budget: Budget, timeline: Timeline, now_us: int, turned_us: int | None = None
    ) -> list[Alert]:
        """Judge every period of the budget that has not ended."""
        number = self.holdings.plan.numbers[budget.id]
        starts, _ = self.totals.table.owner_rows(number)
        alerts: list[Alert] = []
        for start in starts.tolist():
            end_us = running_period(budget, start * MINUTE_US).end_us
            if timeline.last.watermark_us is None or end_us > timeline.last.watermark_us:
                key = (number << 32) | start
                judged = self.effective(budget, key)
                alerts += self.verdicts.judge_change(judged, key, timeline, now_us, turned_us)
        return alerts

    def _judge_acknowledged(self, now_us: int) -> list[Alert]:
        alerts: list[Alert] = []
        for record in self.holdings.acknowledged.values():
            key = CrossingKey(record.id, moment_us(record.period_start), record.level)
            alerts += self.verdicts.acknowledge(key, record.decision.by, now_us)
        return alerts

    def _due_statuses(
        self, settled: Iterable[str], keys: np.ndarray, alerts: list[Alert], moment: Moment, now_us: int
    ) -> None:
        """Note whose status has to be published anew: a level, new period, counting settled, or new figures."""
        self.statuses.turn(self.holdings.home, _running_at(moment, now_us), moment.watermark_us)
        self.statuses.touch_all({alert.budget_id for alert in alerts if alert.budget_id is not None})
        self.statuses.touch_all(settled, Haste.DOCUMENT)
        by_number = self.by_number()
        for key, start in zip(keys.tolist(), windows(keys).tolist(), strict=True):
            budget = by_number.get(key >> 32)
            if budget is not None:
                self.statuses.count(budget, start * MINUTE_US, moment.watermark_us)

    @property
    def has_statuses(self) -> bool:
        return not self.statuses.is_empty

    def take_statuses(
        self, moment: Moment, applied: Mapping[int, int], now_us: int, most: int | None = None
    ) -> tuple[list[StatusRecord], list[StatusRecord]]:
        """Records for the status topic and for that of persons: what is due, at `most` so many, and tombstones of
        retired periods.
        """
        self._watermark_us, self._now_us = moment.watermark_us, now_us
        tombstones, due = self.statuses.take(most)
        shared, persons = self.writer.write(due, Counted(moment.watermark_us, dict(applied), now_us))
        return (
            [*((key, None) for personal, key in tombstones if not personal), *shared],
            [*((key, None) for personal, key in tombstones if personal), *persons],
        )

    def published(self, budget_id: str, start_us: int, *, personal: bool = False) -> None:
        """A status of this period stands on the topic."""
        self.statuses.published(budget_id, start_us, personal=personal)

    def take_documents(self) -> dict[str, str | None]:
        """What changed beside the totals since the last call, as JSON by key; None: gone."""
        return self._documents.take()

    def documents(self) -> dict[str, str | None]:
        """Everything beside the totals."""
        return self._documents.all()

    def restore(self, documents: Mapping[str, str]) -> None:
        """Take back what `take_documents` gave, all keys together."""
        self._documents.restore(documents)


def _running_at(moment: Moment, now_us: int) -> int:
    """The instant whose period runs: where the newest event stands, though the watermark be behind it. No event beyond
    the clock turns a period, and the clock stands in before the first.
    """
    known = [us for us in (moment.watermark_us, moment.max_event_us and min(now_us, moment.max_event_us)) if us]
    return max(known, default=now_us)

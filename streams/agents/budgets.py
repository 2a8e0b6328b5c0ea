"""In: budget rows, the control snapshot, event time. Out: alerts on levels, statuses to publish, and what must be
remembered.

A shard judges the budgets whose home it is; all rows of a budget come there, so no other shard has a say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from schemas.alerts import Alert
from schemas.control.budgets import Budget
from schemas.control.periods import MINUTE_US, BudgetPeriod, period_of, running_period
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.batch import BudgetRows
from streams.agents.counting import Counting, Term
from streams.agents.crossing_times import OpenQuarters
from streams.agents.crossings import Crossing
from streams.agents.statuses import budget_status, retired_key, status_record
from streams.agents.sums import windows
from streams.agents.totals import Plan, Totals
from streams.agents.verdicts import Timeline, Verdicts
from streams.agents.watermarks import Moment

StatusRecord = tuple[str, bytes | None]


class BudgetBook:
    """Everything that one shard knows of its home budgets."""

    def __init__(self, partition: int, partitions: int, input_partitions: int, historical_after_us: int) -> None:
        self._partition, self._partitions = partition, partitions
        self.totals = Totals()
        self.quarters = OpenQuarters()
        self.counting = Counting(input_partitions)
        self.verdicts = Verdicts(self.totals, historical_after_us)
        self._plan = Plan([], self.totals)
        self._home: dict[str, Budget] = {}
        self._control = -1
        self._current: dict[str, BudgetPeriod] = {}
        #: Event time [from, to) in which every budget stays in its current period.
        self._steady = (0, 0)
        #: Period starts whose status stands on the topic, by budget.
        self._published: dict[str, list[int]] = {}
        self._due: set[tuple[str, int]] = set()
        self._tombstones: set[str] = set()
        self._documents: set[str] = set()

    def settle(
        self,
        rows: BudgetRows,
        timeline: Timeline,
        control: ControlSnapshot,
        now_us: int,
        corrections: BudgetRows | None = None,
    ) -> list[Alert]:
        """Fold a batch and judge every level that it, its corrections or a newer control snapshot touched."""
        watermark_us = timeline.last.watermark_us
        alerts: list[Alert] = []
        changed = self._take_control(control, alerts, now_us)
        self.quarters.fold(rows, self.totals.floor(watermark_us))
        keys = self.totals.fold(rows, watermark_us)
        alerts += self.verdicts.judge_rows(keys, rows, self._plan, timeline, now_us)
        if corrections is not None:
            corrected = self._correct(corrections, timeline, alerts, now_us)
            keys = np.concatenate([keys, corrected[~np.isin(corrected, keys)]])
        for budget in changed:
            alerts += self._judge_change(budget, timeline, now_us)
        alerts += self.verdicts.judge_dates(rows, self.quarters, timeline, now_us)
        alerts += self.verdicts.judge_ends(rows, timeline, now_us)
        self.quarters.prune(watermark_us)
        self._documents.update(self.counting.settle())
        self._due_statuses(keys, timeline.last, now_us)
        self.totals.prune(watermark_us)
        self.verdicts.crossings.prune(self.totals.floor(watermark_us) * MINUTE_US)
        return alerts

    def _take_control(self, control: ControlSnapshot, alerts: list[Alert], now_us: int) -> list[Budget]:
        """Bring the plan up to a newer snapshot; the home budgets that are new or changed."""
        if control.position == self._control:
            return []
        self._control = control.position
        self._steady = (0, 0)
        home = {
            budget.id: budget
            for budget in control.budgets.values()
            if home_partition(f"budget/{budget.id}", self._partitions) == self._partition
        }
        for budget_id in [known for known in self.counting.terms if known not in home]:
            alerts += self.verdicts.judge_gone(budget_id, "removed", now_us)
            self.counting.retire(budget_id)
            self._retire(budget_id, self._published.pop(budget_id, []))
            self._current.pop(budget_id, None)
            self._documents.add(budget_id)
        changed = [budget for budget in home.values() if self._home.get(budget.id) != budget]
        for budget in changed:
            if self.counting.appear(
                budget.id, budget.rule, control.offsets.get(f"budget/{budget.id}", control.position - 1)
            ):
                alerts += self.verdicts.judge_gone(budget.id, "rule", now_us)
                self._retire(budget.id, self._published.pop(budget.id, []))
                self._documents.add(budget.id)
            self._current.pop(budget.id, None)
        self._home = home
        self._plan = Plan(list(home.values()), self.totals)
        return changed

    def _correct(self, corrections: BudgetRows, timeline: Timeline, alerts: list[Alert], now_us: int) -> np.ndarray:
        """Add what was corrected, and judge each total as a whole: there is no row that reached a level."""
        watermark_us = timeline.last.watermark_us
        self.quarters.fold(corrections, self.totals.floor(watermark_us))
        keys = self.totals.fold(corrections, watermark_us)
        for key in keys.tolist():
            budget = self._plan.by_number.get(key >> 32)
            if budget is not None:
                alerts += self.verdicts.judge_change(budget, key, timeline, now_us)
        return keys

    def _judge_change(self, budget: Budget, timeline: Timeline, now_us: int) -> list[Alert]:
        """Judge every period of the budget that has not ended."""
        number = self.totals.number(budget)
        starts, _ = self.totals.table.owner_rows(number)
        alerts: list[Alert] = []
        for start in starts.tolist():
            end_us = running_period(budget, start * MINUTE_US).end_us
            if timeline.last.watermark_us is None or end_us > timeline.last.watermark_us:
                alerts += self.verdicts.judge_change(budget, (number << 32) | start, timeline, now_us)
        return alerts

    def _due_statuses(self, keys: np.ndarray, moment: Moment, now_us: int) -> None:
        """Note whose status has to be published anew: new period, new figures, or counting settled."""
        at_us = now_us if moment.watermark_us is None else moment.watermark_us
        for budget in self._home.values() if not self._steady[0] <= at_us < self._steady[1] else ():
            current = self._current.get(budget.id)
            if current is None or at_us not in current:
                current = period_of(budget, at_us)
                if current is None:
                    continue
                self._current[budget.id] = current
                self._turn(budget.id, current.start_us)
                self._due.add((budget.id, current.start_us))
        if not self._steady[0] <= at_us < self._steady[1]:
            periods = self._current.values()
            self._steady = (max((p.start_us for p in periods), default=0), min((p.end_us for p in periods), default=0))
        for budget_id in self._documents:
            if budget_id in self._current:
                self._due.add((budget_id, self._current[budget_id].start_us))
        for key, start in zip(keys.tolist(), windows(keys).tolist(), strict=True):
            budget_of = self._plan.by_number.get(key >> 32)
            if budget_of is not None and start * MINUTE_US in self._published.get(budget_of.id, ()):
                self._due.add((budget_of.id, start * MINUTE_US))

    def _turn(self, budget_id: str, start_us: int) -> None:
        """A period becomes the running one: the one before stays on the topic, older and later ones are retired.

        A later one stands there when time was first told by the clock and the first events then came from the past.
        """
        published = self._published.get(budget_id, [])
        earlier = sorted(start for start in published if start < start_us)[-1:]
        kept = [*earlier, start_us]
        self._retire(budget_id, [start for start in published if start not in kept])
        self._published[budget_id] = kept
        self._documents.add(budget_id)

    def _retire(self, budget_id: str, starts: list[int]) -> None:
        for start_us in starts:
            self._due.discard((budget_id, start_us))
            self._tombstones.add(retired_key(budget_id, start_us))

    @property
    def has_statuses(self) -> bool:
        return bool(self._due or self._tombstones)

    def take_statuses(self, moment: Moment, applied: Mapping[int, int], now_us: int) -> list[StatusRecord]:
        """Records for the status topic: what is due, and tombstones of retired periods."""
        records: list[StatusRecord] = [(key, None) for key in sorted(self._tombstones)]
        for budget_id, start_us in sorted(self._due):
            budget = self._home[budget_id]
            period = running_period(budget, start_us)
            key = np.array([(self.totals.number(budget) << 32) | max(0, period.start_minute)], dtype=np.uint64)
            status = budget_status(
                budget,
                period,
                self.totals.table.get(key)[0],
                self.counting.reason(budget_id, start_us),
                moment.watermark_us,
                dict(applied),
                now_us,
            )
            records.append(status_record(status))
        self._due.clear()
        self._tombstones.clear()
        return records

    def published(self, budget_id: str, start_us: int) -> None:
        """A status of this period stands on the topic."""
        self._published[budget_id] = sorted({*self._published.get(budget_id, []), start_us})

    def take_documents(self) -> dict[str, str | None]:
        """What changed beside the totals since the last call, as JSON by key; None: gone."""
        documents: dict[str, str | None] = {
            f"crossing/{key}": text for key, text in self.verdicts.crossings.take_changes().items()
        }
        for budget_id in self._documents:
            term = self.counting.terms.get(budget_id)
            documents[f"budget/{budget_id}"] = (
                None
                if term is None
                else json.dumps([term.rule, term.since, term.missed_us, self._published.get(budget_id, [])])
            )
        self._documents.clear()
        return documents

    def documents(self) -> dict[str, str | None]:
        """Everything beside the totals."""
        self._documents.update(self.counting.terms)
        self.verdicts.crossings.mark_all()
        return self.take_documents()

    def restore(self, documents: Mapping[str, str]) -> None:
        """Take back what `take_documents` gave, all keys together."""
        for key, text in documents.items():
            kind, _, name = key.partition("/")
            if kind == "crossing":
                self.verdicts.crossings.put(Crossing.load(text))
            elif kind == "budget":
                rule, since, missed_us, published = json.loads(text)
                self.counting.terms[name] = Term(rule, since, missed_us)
                self._published[name] = published
        self.verdicts.crossings.take_changes()

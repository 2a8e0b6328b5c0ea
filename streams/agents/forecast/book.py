"""In: budget rows of a batch, totals, event time. Out: forecasts of every running period, and alerts on them.

An hour is closed when the watermark passes its end: it is learnt, and the periods are evaluated as they stood then.
Rows beyond the hour are taken off the totals for that, so any batching of the same log gives the same forecasts.

1 take the budgets in force, 2 fold the rows into open hours, 3 teach what the history told of new budgets, 4 close
hours: learn, evaluate, judge, 5 say whose status changed. All of it goes into one checkpoint with the position it came
from; a crash before that repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.periods import MINUTE_US, BudgetPeriod, running_period
from schemas.status import Forecast
from streams.agents.batch import BudgetRows
from streams.agents.budgets import BudgetBook
from streams.agents.forecast.evaluation import Evaluation, evaluate
from streams.agents.forecast.judging import ForecastJudge
from streams.agents.forecast.learning import LocalHour, learn
from streams.agents.forecast.local_time import DAY_HOURS, HOUR_US
from streams.agents.forecast.memory import DAYS, fresh
from streams.agents.forecast.open_hours import HOUR_MINUTES, OpenHours
from streams.agents.forecast.roster import Roster
from streams.agents.forecast.shown import Shown
from streams.agents.forecast.texts import forecast_alert_id
from streams.agents.forecast.warned import RULES, ForecastWarning, WarningKey
from streams.agents.sums import pack
from streams.agents.totals import used as used_of
from streams.agents.verdicts import Timeline

#: Hours that are held and looked back on: five weeks.
HELD_HOURS: Final = DAYS * DAY_HOURS
#: Resolved warnings are kept so long after their period.
_KEPT_US: Final = 40 * DAY_HOURS * HOUR_US


class ForecastBook:
    """Forecasts of one shard's home budgets. `next`: the first hour not closed yet; None before the first use."""

    def __init__(self, book: BudgetBook, historical_after_us: int) -> None:
        self._book = book
        self._historical_after_us = historical_after_us
        self.roster = Roster()
        self.hours = OpenHours()
        self.judge = ForecastJudge(historical_after_us)
        self.next: int | None = None
        self._budgets: Mapping[int, Budget] | None = None
        #: Hours in a row without any use in the shard.
        self.quiet = 0
        self._shown: Shown | None = None
        self._bases: list[tuple[int, Budget, np.ndarray, np.ndarray]] = []
        self._dirty = False
        book.writer.forecast_of = self.of
        book.bases.listeners.append(self._hear)

    def settle(self, rows: BudgetRows, timeline: Timeline, now_us: int) -> list[Alert]:
        """Call right after the budgets have folded the same rows."""
        alerts: list[Alert] = []
        budgets = self._book.by_number()
        if budgets is not self._budgets:  # 1
            self._budgets = budgets
            alerts += self.judge.judge_gone({budget.id: budget for budget in budgets.values()}, now_us)
            # While a shard is rebuilt it is told of no budgets at first: what is held waits for them.
            if budgets:
                self.roster.take(budgets)
                self.judge.take(self.roster.budgets)
                self._shown, self._dirty = None, True
        self.hours.fold(rows, timeline, self.roster.start_minute)  # 2
        self._learn_bases()  # 3
        watermark_us = timeline.last.watermark_us
        if watermark_us is not None and budgets:
            limit = watermark_us // HOUR_US
            # Not before it can be closed: until then an earlier one may still come.
            if self.next is None and (first := self.hours.first()) is not None and first < limit:
                self.next = max(first, limit - HELD_HOURS)
            closed = self.next
            alerts += self._close(limit, timeline, now_us)  # 4
            alerts += self.judge.judge_ends(watermark_us, now_us)
            self.judge.warnings.prune(watermark_us - _KEPT_US)
            if self.next != closed:  # 5
                self._touch(now_us, closed)
        return alerts

    def of(self, budget: Budget, period: BudgetPeriod, used: int) -> Forecast | None:
        """Of a running period of a day and longer, as the last closed hour showed it; None: nothing to go by."""
        if self.next is None or budget.period == "hour" or not len(self.roster.numbers):
            return None
        slot = self.roster.slot_of.get(budget.id)
        if slot is None or self._book.counting.reason(budget.id, period.start_us) is not None:
            return None
        shown = self._shown
        if shown is None or shown.seen.hour != self.next:
            shown = self._shown = Shown(self.roster, self._evaluate(self.next))
        if not shown.seen.is_known[slot] or int(shown.seen.start_us[slot]) != period.start_us:
            return None
        return shown.of(slot, budget, used)

    def _close(self, limit: int, timeline: Timeline, now_us: int) -> list[Alert]:
        """Close the hours before `limit`, one after the other."""
        alerts: list[Alert] = []
        while self.next is not None and self.next < limit:
            hour = self.next
            numbers, sums = self.hours.of(hour)
            self.quiet = 0 if len(numbers) else self.quiet + 1
            if self.quiet > HELD_HOURS:
                # Nothing is remembered over so long a silence, so time may be passed over.
                self.roster.rows = fresh(len(self.roster.rows))
                following = self.hours.first()
                self.next = limit if following is None else min(max(following, hour + 1), limit)
                self.hours.drop_before(self.next)
                continue
            amounts = np.zeros(len(self.roster.numbers))
            slots = self.roster.slots(numbers)
            own = slots >= 0
            amounts[slots[own]] = self._book.holdings.plan.used(numbers[own], sums[own])
            self._learn(hour, amounts)
            self.next = hour + 1
            self.hours.drop_before(self.next)
            self._shown = Shown(self.roster, self._evaluate(self.next))
            alerts += self.judge.judge(
                self.roster, self._shown, self._standing, lambda us: _append_us(timeline, us, now_us), now_us
            )
            self._dirty = True
        return alerts

    def _learn(self, hour: int, amounts: np.ndarray) -> None:
        for zone, slots in self.roster.zones.items():
            some = self.roster.rows[slots]
            learn(some, LocalHour.of(zone, hour), amounts[slots])
            self.roster.rows[slots] = some

    def _evaluate(self, hour: int) -> Evaluation:
        """The running periods as they stood when `hour` began: the totals, less what is held of later hours."""
        roster, book = self.roster, self._book
        roster.turn(hour)
        running = roster.end_us > 0
        starts = np.where(running, np.maximum(roster.start_us // MINUTE_US, 0), 0)
        sums = book.totals.table.get(pack(roster.numbers, starts))[:, :5].copy()
        numbers, hours, later = self.hours.from_hour(hour)
        slots = roster.slots(numbers)
        own = slots >= 0
        own[own] = hours[own] * HOUR_US < roster.end_us[slots[own]]
        np.subtract.at(sums, slots[own], later[own])
        # What came when its period was over is in the totals, but was not when the hour began.
        numbers, periods, ended = self.hours.after_end
        slots = roster.slots(numbers)
        own = slots >= 0
        own[own] = periods[own] == starts[slots[own]]
        np.subtract.at(sums, slots[own], ended[own])
        used = book.holdings.plan.used(roster.numbers, sums).astype(np.float64)
        return evaluate(roster, hour, np.where(running, np.maximum(used, 0), 0))

    def _standing(self, budget: Budget, start_us: int, at_us: int) -> tuple[Budget, str | None]:
        held = self._book.holdings.grants.effective(budget, running_period(budget, start_us), at_us).budget
        return held, self._book.counting.reason(budget.id, start_us)

    def _touch(self, now_us: int, closed: int | None) -> None:
        """Publish anew what was evaluated; of the past, once a day of it."""
        if self.next is None or self._shown is None:
            return
        is_past = now_us - self.next * HOUR_US > self._historical_after_us
        if is_past and closed is not None and closed // DAY_HOURS == self.next // DAY_HOURS:
            return
        seen = self._shown.seen
        for slot in np.flatnonzero(seen.is_known).tolist():
            self._book.statuses.touch(self.roster.budgets[slot].id, int(seen.start_us[slot]))

    def _hear(self, budget: Budget, minutes: np.ndarray, sums: np.ndarray) -> None:
        """What a new budget used in the five weeks before it was counted. It is learnt with the same settlement."""
        self._bases.append((self._book.totals.number(budget), budget, minutes, sums))

    def _learn_bases(self) -> None:
        bases, self._bases = self._bases, []
        if not bases:
            return
        if self.next is None:
            for number, _, minutes, sums in bases:
                self.hours.put_history(number, minutes, sums)
            return
        for zone in sorted({budget.time_zone for _, budget, _, _ in bases}):
            mine = [base for base in bases if base[1].time_zone == zone]
            slots = self.roster.slots(np.array([number for number, *_ in mine]))
            mine = [base for base, slot in zip(mine, slots.tolist(), strict=True) if slot >= 0]
            first = self.next - HELD_HOURS
            amounts = np.zeros((HELD_HOURS, len(mine)))
            for column, (_, budget, minutes, sums) in enumerate(mine):
                at = minutes // HOUR_MINUTES - first
                own = (at >= 0) & (at < HELD_HOURS)
                np.add.at(amounts[:, column], at[own], used_of(budget.unit, sums[own]))
            rows = fresh(len(mine))
            for hour in range(HELD_HOURS):
                learn(rows, LocalHour.of(zone, first + hour), amounts[hour])
            self.roster.rows[slots[slots >= 0]] = rows
        self._shown, self._dirty = None, True

    def put_history(self, budget: Budget, minutes: np.ndarray, sums: np.ndarray) -> None:
        """Rebuilding: what was used before the tallies that stand, by quarter of an hour."""
        self.hours.put_history(self._book.totals.number(budget), minutes, sums)

    def remember(self, told: Mapping[str, Alert], budgets: Mapping[str, Budget], watermark_us: int | None) -> None:
        """Rebuilding: these alerts of kind forecast were told, each in its last state; nothing before is told anew."""
        if watermark_us is not None:
            self.judge.told_us = watermark_us
        for alert in told.values():
            budget = budgets.get(alert.budget_id or "")
            if alert.kind != "forecast" or budget is None:
                continue
            start_us = moment_us(alert.window.start)
            for rule in RULES:
                if forecast_alert_id(budget.id, start_us, rule) == alert.alert_id:
                    self.judge.warnings.put(
                        ForecastWarning(
                            key=WarningKey(budget.id, start_us, rule),
                            revision=alert.revision,
                            state="resolved" if alert.state == "resolved" else "firing",
                            end_us=moment_us(alert.window.end),
                            occurred_us=moment_us(alert.occurred_at),
                            p10=alert.observed,
                            p50=alert.observed,
                            p90=alert.observed,
                            chance=0.0,
                            exhausted_us=None,
                            method="hour_of_week",
                            historical=alert.historical,
                            budget=budget,
                        )
                    )

    def take_rows(self, full: bool) -> tuple[np.ndarray, np.ndarray] | None:
        """Numbers and memories when something was learnt since the last call: an hour changes every one."""
        dirty, self._dirty = self._dirty, False
        return (self.roster.numbers, self.roster.rows) if (dirty or full) and len(self.roster.numbers) else None

    def take_documents(self) -> dict[str, str | None]:
        return self.judge.warnings.take_changes()

    def documents(self) -> dict[str, str | None]:
        self.judge.warnings.mark_all()
        return self.take_documents()

    def positions(self) -> list[int | None]:
        return [self.next, self.quiet, None if self.judge.told_us < 0 else self.judge.told_us]

    def restore(
        self,
        positions: list[int | None] | None,
        stored: tuple[np.ndarray, np.ndarray] | None,
        documents: Mapping[str, str],
    ) -> None:
        """Go on from a checkpoint; one of before forecasts has nothing, and begins to learn now."""
        if positions is not None:
            self.next, quiet, told_us = positions
            self.quiet = quiet or 0
            if told_us is not None:
                self.judge.told_us = told_us
            if self.next is not None:
                self.hours.drop_before(self.next)
        if stored is not None:
            self.roster.restore(*stored)
        for key, text in documents.items():
            if key.startswith("forecast/"):
                self.judge.warnings.restore(text)


def _append_us(timeline: Timeline, us: int, now_us: int) -> int:
    """Broker time of the message that passed a moment of event time."""
    entry = timeline.passed(us)
    moment = timeline.moments[entry] if 0 <= entry < len(timeline.moments) else timeline.last
    return now_us if moment.append_us is None else moment.append_us

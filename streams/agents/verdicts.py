"""In: totals, the budgets in force, and where event time stands. Out: one alert per level crossed, changed or left.

A level fires when the used amount reaches it, is dated anew when the watermark shows that it was reached in another
quarter of an hour, and is resolved when its period ends, when a raised limit, an exception or a correction puts it
out of reach, or when its budget goes. Late rows only add, so nothing else lowers an amount.
Reached again after that it fires with the same id and the next revision. A crossing found in a period that
has already ended (late rows, a backfill) fires and is resolved at once: both are on the record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from schemas.alerts import Alert
from schemas.control.budgets import LEVELS, Budget, Level
from schemas.control.periods import MINUTE_US, running_period
from streams.agents.batch import BudgetRows
from streams.agents.budget_texts import budget_alert
from streams.agents.crossing_times import OpenQuarters
from streams.agents.crossings import Crossing, CrossingKey, Crossings
from streams.agents.exceptions.grants import Effective
from streams.agents.totals import FIRED, Plan, Totals, used
from streams.agents.watermarks import Moment

#: Rows of the budget tallies are summed by quarter of an hour.
_QUARTER_US = 15 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where event time stood `before` a batch, after each of its entries, and `last` after all of them."""

    moments: tuple[Moment, ...]
    last: Moment
    before: Moment | None = None

    @property
    def entries(self) -> int:
        return len(self.moments)

    def passed(self, us: int) -> int:
        """The first entry after which the watermark has passed `us`; -1 when it had before; len() when not yet."""
        if self.before is not None and self.before.watermark_us is not None and self.before.watermark_us >= us:
            return -1
        marks = np.array([-(2**63) if m.watermark_us is None else m.watermark_us for m in self.moments], dtype=np.int64)
        return int(np.searchsorted(marks, us, "left"))


class Verdicts:
    """The state machine of every home budget's levels."""

    def __init__(self, totals: Totals, historical_after_us: int) -> None:
        self.crossings = Crossings()
        self._totals = totals
        self._historical_after_us = historical_after_us
        #: Entry of the running batch in which a level fired.
        self._fired_in: dict[CrossingKey, int] = {}

    def judge_rows(
        self,
        keys: np.ndarray,
        rows: BudgetRows,
        plan: Plan,
        effective: Callable[[Budget, int], Effective],
        timeline: Timeline,
        now_us: int,
    ) -> list[Alert]:
        """Levels newly reached in `keys`, which have just been folded from `rows`. `effective`: by budget and key."""
        self._fired_in.clear()
        alerts: list[Alert] = []
        for key in self._totals.candidates(keys, plan).tolist():
            judged = effective(plan.by_number[key >> 32], key)
            budget = judged.budget
            sums = self._totals.row(key)[None, :]
            after, fired = int(used(budget.unit, sums)[0]), int(sums[0, FIRED])
            own = rows.of(key)
            running = (
                after - int(used(budget.unit, rows.sums[own]).sum()) + np.cumsum(used(budget.unit, rows.sums[own]))
            )
            for number, level in enumerate(LEVELS):
                if after >= budget.level_units(level) and not fired >> number & 1:
                    at = np.flatnonzero(running >= budget.level_units(level))
                    if len(at):
                        row, observed = own.start + int(at[0]), int(running[at[0]])
                        alerts.append(self._fire(key, judged, level, row, observed, rows, timeline, now_us))
                    else:
                        # A correction made it hold, not a row of this batch.
                        alerts.append(self._fire_now(key, judged, level, after, timeline, now_us))
        return alerts

    def judge_change(
        self, judged: Effective, key: int, timeline: Timeline, now_us: int, turned_us: int | None = None
    ) -> list[Alert]:
        """One period whose budget or total was changed: levels that hold no longer, hold now, or stand otherwise.

        `turned_us`: the moment of event time that made the change, such as an exception's end.
        """
        budget = judged.budget
        sums = self._totals.row(key)[None, :]
        amount, fired = int(used(budget.unit, sums)[0]), int(sums[0, FIRED])
        start_us = (key & 0xFFFF_FFFF) * MINUTE_US
        alerts: list[Alert] = []
        for number, level in enumerate(LEVELS):
            holds = amount >= budget.level_units(level)
            if holds and not fired >> number & 1:
                alerts.append(self._fire_now(key, judged, level, amount, timeline, now_us, turned_us))
            crossing = self.crossings.all.get(CrossingKey(budget.id, start_us, level))
            if crossing is None or not fired >> number & 1:
                continue
            moved = _standing(crossing.budget, level) != _standing(budget, level)
            if not holds:
                self._totals.set_fired(key, number, False)
                if crossing.state == "firing":
                    told = replace(crossing, budget=budget, extra=judged.extra, observed=amount)
                    by_exception = amount >= judged.document.level_units(level)
                    reason = "correction" if not moved else "exception" if by_exception else "limit"
                    alerts.append(self._resolve(told, reason, now_us))
            elif crossing.state == "firing" and moved:
                reason_of = "extra" if judged.extra != crossing.extra else None
                crossing = replace(
                    crossing, budget=budget, extra=judged.extra, observed=amount, revision=crossing.revision + 1
                )
                self.crossings.put(crossing)
                alerts.append(budget_alert(crossing, "updated", reason_of, now_us))
        return alerts

    def acknowledge(self, key: CrossingKey, by: str, now_us: int) -> list[Alert]:
        """Somebody with the right lets the budget go on: told once of a level that holds."""
        crossing = self.crossings.all.get(key)
        if crossing is None or crossing.state != "firing" or crossing.acknowledged == by:
            return []
        crossing = replace(crossing, acknowledged=by, revision=crossing.revision + 1)
        self.crossings.put(crossing)
        return [budget_alert(crossing, "updated", "acknowledged", now_us)]

    def judge_gone(self, budget_id: str, reason: str, now_us: int) -> list[Alert]:
        """The budget was removed, or counts other events from now on."""
        alerts: list[Alert] = []
        for crossing in self.crossings.firing_of(budget_id):
            self._totals.set_fired(self._total_key(crossing), LEVELS.index(crossing.key.level), False)
            alerts.append(self._resolve(crossing, reason, now_us))
        return alerts

    def _total_key(self, crossing: Crossing) -> int:
        return self._totals.key(crossing.budget, crossing.key.period_start_us)

    def judge_dates(self, rows: BudgetRows, quarters: OpenQuarters, timeline: Timeline, now_us: int) -> list[Alert]:
        """Date the crossings that the watermark has passed; told again where the first date was in another quarter."""
        alerts: list[Alert] = []
        for crossing in self.crossings.undated():
            budget, level = crossing.budget, crossing.key.level
            key = self._total_key(crossing)
            total = self._totals.amount(budget, key)
            end_minute = crossing.period_end_us // MINUTE_US
            quarter = quarters.reached(key, end_minute, budget.unit, budget.level_units(level), total, rows, timeline)
            if quarter is None:
                continue
            start_us, end_us = quarter * MINUTE_US, quarter * MINUTE_US + _QUARTER_US
            if start_us <= crossing.occurred_us <= end_us:
                self.crossings.put(replace(crossing, dated=True))
                continue
            certain = replace(
                crossing,
                dated=True,
                occurred_us=min(end_us, crossing.period_end_us - 1),
                revision=crossing.revision + 1,
            )
            self.crossings.put(certain)
            alerts.append(budget_alert(certain, "updated", "dated", now_us))
        return alerts

    def judge_ends(self, rows: BudgetRows, timeline: Timeline, now_us: int) -> list[Alert]:
        """Resolve what fires in periods that are over, each with its total at the message that ended it."""
        alerts: list[Alert] = []
        for crossing in self.crossings.ended(timeline.last.watermark_us):
            key = self._total_key(crossing)
            total = self._totals.amount(crossing.budget, key)
            own = rows.of(key)
            ended_in = max(timeline.passed(crossing.period_end_us), self._fired_in.get(crossing.key, -1))
            later = rows.order[own] > ended_in
            total -= int(used(crossing.budget.unit, rows.sums[own][later]).sum())
            alerts.append(self._resolve(replace(crossing, observed=total), "end", now_us))
        return alerts

    def _fire(
        self,
        key: int,
        judged: Effective,
        level: Level,
        at: int,
        observed: int,
        rows: BudgetRows,
        timeline: Timeline,
        now_us: int,
    ) -> Alert:
        moment = timeline.moments[int(rows.order[at])]
        quarter_end = int(rows.minute[at]) * MINUTE_US + _QUARTER_US
        self._fired_in[CrossingKey(judged.budget.id, (key & 0xFFFF_FFFF) * MINUTE_US, level)] = int(rows.order[at])
        seen = quarter_end if moment.max_event_us is None else moment.max_event_us
        return self._put_firing(
            key, judged, level, min(quarter_end, seen), observed, moment.append_us, now_us, dated=False
        )

    def _fire_now(
        self,
        key: int,
        judged: Effective,
        level: Level,
        amount: int,
        timeline: Timeline,
        now_us: int,
        turned_us: int | None = None,
    ) -> Alert:
        """The level came to hold by a changed document or a correction: it is dated by the newest event, or by the
        moment at which the document itself says that it turns.
        """
        moment = timeline.last
        occurred_us = turned_us
        if occurred_us is None:
            occurred_us = now_us if moment.max_event_us is None else moment.max_event_us
        return self._put_firing(key, judged, level, occurred_us, amount, moment.append_us, now_us, dated=True)

    def _put_firing(
        self,
        key: int,
        judged: Effective,
        level: Level,
        occurred_us: int,
        observed: int,
        append_us: int | None,
        now_us: int,
        *,
        dated: bool,
    ) -> Alert:
        budget = judged.budget
        start_us = (key & 0xFFFF_FFFF) * MINUTE_US
        period = running_period(budget, start_us)
        occurred_us = min(max(occurred_us, start_us), period.end_us - 1)
        crossing_key = CrossingKey(budget.id, start_us, level)
        before = self.crossings.all.get(crossing_key)
        crossing = Crossing(
            key=crossing_key,
            revision=0 if before is None else before.revision + 1,
            state="firing",
            period_end_us=period.end_us,
            occurred_us=occurred_us,
            observed=observed,
            historical=(now_us if append_us is None else append_us) - occurred_us > self._historical_after_us,
            budget=budget,
            dated=dated,
            extra=judged.extra,
            acknowledged=None if before is None else before.acknowledged,
        )
        self._totals.set_fired(key, LEVELS.index(level), True)
        self.crossings.put(crossing)
        return budget_alert(crossing, "firing", None, now_us)

    def _resolve(self, crossing: Crossing, reason: str, now_us: int) -> Alert:
        crossing = replace(crossing, state="resolved", revision=crossing.revision + 1)
        self.crossings.put(crossing)
        return budget_alert(crossing, "resolved", reason, now_us)


def _standing(budget: Budget, level: Level) -> tuple[int, str, int]:
    """What an open alert says of its budget: a change of it is worth an update."""
    return budget.level_units(level), budget.mode, budget.limit_units

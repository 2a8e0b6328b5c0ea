"""In: evaluations, hour by hour. Out: alerts: heading above plan, likely to exceed the limit, and their resolutions.

above_plan: the likely total is more than `forecast.above_plan` above the plan, and half of the period or two weeks of
it are over: told at once. chance: the chance of exceeding is at least `forecast.chance` in two hourly evaluations in
a row. Each once per period. Under four weeks of history only above_plan, and only for a week and longer. Resolved when
the period ends, when a limit or plan was raised, or when for a day it has looked clearly better. What has exceeded its
limit already is told by the budget's own levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from streams.agents.forecast.evaluation import Evaluation, exhausted_on
from streams.agents.forecast.local_time import DAY_HOURS, HOUR_US
from streams.agents.forecast.roster import Roster
from streams.agents.forecast.shown import Shown
from streams.agents.forecast.texts import forecast_alert
from streams.agents.forecast.warned import ForecastWarning, ForecastWarnings, Rule, WarningKey

_TWO_WEEKS_US: Final = 14 * DAY_HOURS * HOUR_US
_WEEK_US: Final = 7 * DAY_HOURS * HOUR_US
#: A week has an hour less when clocks go forward.
_SLACK_US: Final = 2 * HOUR_US

#: (budget, period start, µs) -> the budget as it holds, and why its period is not counted whole (None: it is).
Standing = Callable[[Budget, int, int], tuple[Budget, str | None]]
#: Event time -> broker time of the message that passed it.
AppendOf = Callable[[int], int]


class ForecastJudge:
    """The state machine of every forecast warning of a shard."""

    def __init__(self, historical_after_us: int) -> None:
        self.warnings = ForecastWarnings()
        self._historical_after_us = historical_after_us
        #: Event time up to which everything was told: nothing new is raised before it.
        self.told_us = -(2**62)
        #: Documents' limits, plans and levels by slot.
        self._limits = self._plans = self._chances = self._above = np.zeros(0)

    def take(self, budgets: list[Budget]) -> None:
        """The documents of the roster, in its order."""
        self._limits = np.array([float(budget.limit_units) for budget in budgets])
        self._plans = np.array([float(budget.plan_units) for budget in budgets])
        self._chances = np.array([budget.forecast.chance for budget in budgets])
        self._above = np.array([budget.forecast.above_plan for budget in budgets])

    def judge(self, roster: Roster, shown: Shown, standing: Standing, append_of: AppendOf, now_us: int) -> list[Alert]:
        """One hourly evaluation."""
        if not len(roster.numbers):
            return []
        seen = shown.seen
        at_us = seen.hour * HOUR_US
        alerts: list[Alert] = []
        likely = seen.total(0.0)
        length, gone = seen.end_us - seen.start_us, at_us - seen.start_us
        long_enough = seen.is_long | (length >= _WEEK_US - _SLACK_US)
        late_enough = (2 * gone >= length) | (gone >= _TWO_WEEKS_US)
        open_yet = seen.is_known & (seen.used < self._limits)
        above = open_yet & long_enough & late_enough & (likely > self._plans * (1 + self._above))
        exceeding = open_yet & seen.is_long & (seen.chance(self._limits) >= self._chances)
        for slot in np.flatnonzero(exceeding).tolist():
            # An exception may have raised the limit: the document's chance is too high then.
            budget, uncounted = standing(roster.budgets[slot], int(seen.start_us[slot]), at_us)
            exceeding[slot] = uncounted is None and self._chance(seen, slot, budget) >= budget.forecast.chance
        again = exceeding & (roster.rows["high"] == seen.hour - 1)
        roster.rows["high"] = np.where(exceeding, seen.hour, -1)
        for rule, due in (("above_plan", above), ("chance", again)):
            for slot in np.flatnonzero(due).tolist():
                alerts += self._fire(roster, shown, slot, rule, standing, append_of, now_us)  # type: ignore[arg-type]
        for warning in self.warnings.in_order():
            alerts += self._follow(roster, seen, warning, standing, now_us)
        return alerts

    def _chance(self, seen: Evaluation, slot: int, budget: Budget) -> float:
        return float(seen.one(slot).chance(np.array([float(budget.limit_units)]))[0])

    def _fire(
        self,
        roster: Roster,
        shown: Shown,
        slot: int,
        rule: Rule,
        standing: Standing,
        append_of: AppendOf,
        now_us: int,
    ) -> list[Alert]:
        seen = shown.seen
        at_us = seen.hour * HOUR_US
        document, start_us = roster.budgets[slot], int(seen.start_us[slot])
        key = WarningKey(document.id, start_us, rule)
        if key in self.warnings.all or at_us <= self.told_us:
            return []
        budget, uncounted = standing(document, start_us, at_us)
        if uncounted is not None:
            return []
        found = shown.of(slot, budget, 0)
        reached = exhausted_on(roster, slot, seen, budget.limit_units)
        warning = ForecastWarning(
            key=key,
            revision=0,
            state="firing",
            end_us=int(seen.end_us[slot]),
            occurred_us=at_us,
            p10=found.p10,
            p50=found.p50,
            p90=found.p90,
            chance=found.chance_of_exceeding,
            exhausted_us=None if reached is None or found.p50 < budget.limit_units else moment_us(reached),
            method=found.method,
            historical=append_of(at_us) - at_us > self._historical_after_us,
            budget=budget,
        )
        self.warnings.put(warning)
        return [forecast_alert(warning, "firing", None, now_us)]

    def _follow(
        self, roster: Roster, seen: Evaluation, warning: ForecastWarning, standing: Standing, now_us: int
    ) -> list[Alert]:
        """Whether one that fires still would."""
        at_us = seen.hour * HOUR_US
        if at_us >= warning.end_us:
            return [self._resolve(warning, "end", now_us)]
        slot = roster.slot_of.get(warning.key.budget_id)
        if slot is None or int(seen.start_us[slot]) != warning.key.start_us or not seen.is_known[slot]:
            return []
        budget, _ = standing(roster.budgets[slot], warning.key.start_us, at_us)
        if warning.key.rule == "chance":
            chance, level = self._chance(seen, slot, budget), budget.forecast.chance
            holds, calm = chance >= level, chance < level / 2
            raised = budget.limit_units > warning.budget.limit_units
        else:
            above = float(seen.one(slot).total(0.0)[0]) / max(budget.plan_units, 1) - 1
            holds, calm = above > budget.forecast.above_plan, above < budget.forecast.above_plan / 2
            raised = budget.plan_units > warning.budget.plan_units
        if raised and not holds:
            return [self._resolve(replace(warning, budget=budget), "limit", now_us)]
        if raised:
            warning = replace(warning, budget=budget)
            self.warnings.put(warning)
        if calm and warning.calm_since is not None and seen.hour - warning.calm_since >= DAY_HOURS:
            return [self._resolve(warning, "calm", now_us)]
        if calm != (warning.calm_since is not None):
            self.warnings.put(replace(warning, calm_since=seen.hour if calm else None))
        return []

    def judge_ends(self, watermark_us: int | None, now_us: int) -> list[Alert]:
        """Resolve what fires in periods that are over: for shards whose hours are passed over."""
        if watermark_us is None:
            return []
        due = [warning for warning in self.warnings.in_order() if warning.end_us <= watermark_us]
        return [self._resolve(warning, "end", now_us) for warning in due]

    def judge_gone(self, budgets: dict[str, Budget], now_us: int) -> list[Alert]:
        """Resolve what fires of budgets that are gone or count other events."""
        return [
            self._resolve(warning, "removed", now_us)
            for warning in self.warnings.in_order()
            if (known := budgets.get(warning.key.budget_id)) is None or known.rule != warning.budget.rule
        ]

    def _resolve(
        self, warning: ForecastWarning, reason: Literal["end", "calm", "limit", "removed"], now_us: int
    ) -> Alert:
        warning = replace(warning, state="resolved", revision=warning.revision + 1)
        self.warnings.put(warning)
        return forecast_alert(warning, "resolved", reason, now_us)

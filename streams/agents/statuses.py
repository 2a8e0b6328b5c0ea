"""In: a budget as it holds in a period, its total, and how far counting has come. Out: the status that gateways and
people read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from runtime.clock import to_datetime
from schemas.alerts import AlertScope
from schemas.control.base import moment_us
from schemas.control.budgets import LEVELS, Budget, Level, Scope
from schemas.control.periods import BudgetPeriod, period_of
from schemas.status import Acknowledged, AsOf, BudgetState, BudgetStatus, Forecast, StatusPeriod, status_key
from streams.agents.budget_texts import UNITS, scope_of
from streams.agents.exceptions.grants import Effective
from streams.agents.totals import CALLS, PROVISIONAL


@dataclass(frozen=True)
class Counted:
    """How far counting has come: the event-time watermark and the next offset of each input partition.

    Thousands of statuses are told with one of it, so what they have in common is made once.
    """

    watermark_us: int | None
    offsets: dict[int, int]
    now_us: int

    @cached_property
    def as_of(self) -> AsOf:
        watermark = None if self.watermark_us is None else to_datetime(self.watermark_us)
        return AsOf(watermark=watermark, offsets=self.offsets)

    @cached_property
    def evaluated_at(self) -> datetime:
        return to_datetime(self.now_us)

    @cached_property
    def _periods(self) -> dict[tuple[BudgetPeriod, str, str], StatusPeriod]:
        return {}

    def period(self, budget: Budget, period: BudgetPeriod) -> StatusPeriod:
        """The period as a status tells it."""
        key = (period, budget.period, budget.time_zone)
        made = self._periods.get(key)
        if made is None:
            made = self._periods[key] = StatusPeriod(
                kind=budget.period,
                start=to_datetime(period.start_us),
                end=to_datetime(period.end_us),
                time_zone=budget.time_zone,
            )
        return made

    @cached_property
    def _scopes(self) -> dict[Scope, AlertScope]:
        return {}

    def scope(self, budget: Budget) -> AlertScope:
        """The scope as a status tells it."""
        made = self._scopes.get(budget.scope)
        if made is None:
            made = self._scopes[budget.scope] = scope_of(budget)
        return made


@dataclass(frozen=True, slots=True)
class Figures:
    """What was used under a `rule`: `amount` in the budget's unit, of `sums` (a row of the totals), and the amounts at
    which its `levels` begin.
    """

    rule: str
    amount: int
    sums: Sequence[int]
    levels: dict[Level, int]


def budget_status(
    effective: Effective,
    period: BudgetPeriod,
    figures: Figures,
    uncounted: str | None,
    counted: Counted,
    acknowledged: Acknowledged | None = None,
    forecast: Forecast | None = None,
) -> BudgetStatus:
    """`uncounted` says why the total may be too low.

    Then the state is `unknown`, unless what was counted is already at hard: more use cannot undo that. A span that is
    over stops nothing any more.
    """
    budget, limit = effective.budget, effective.budget.limit_units
    amount, levels = figures.amount, figures.levels
    state: BudgetState = "ok"
    for level in LEVELS:
        if amount >= levels[level]:
            state = level
    if uncounted is not None and state != "hard":
        state = "unknown"
    ended = budget.period == "span" and counted.watermark_us is not None and counted.watermark_us >= period.end_us
    return BudgetStatus(
        budget_id=budget.id,
        rule=figures.rule,
        scope=counted.scope(budget),
        owner=budget.owner,
        contact=budget.contact,
        period=counted.period(budget, period),
        unit=UNITS[budget.unit],
        used=amount,
        provisional=figures.sums[PROVISIONAL] if budget.unit == "usd" else 0,
        limit=limit,
        extra=effective.extra,
        plan=limit if effective.document is budget and budget.plan is None else effective.document.plan_units,
        used_share=amount / limit,
        calls=figures.sums[CALLS],
        state=state,
        state_reason=uncounted or ("the span has ended: nothing is held against it any more" if ended else None),
        mode=budget.mode,
        would_stop=amount >= levels["hard"] and not ended,
        levels=levels,
        forecast=forecast,
        exceptions=effective.exceptions,
        acknowledged=acknowledged,
        as_of=counted.as_of,
        evaluated_at=counted.evaluated_at,
    )


def shown_period(budget: Budget, at_us: int) -> tuple[BudgetPeriod, int, int]:
    """The period whose status stands at an instant, and the event time [from, to) in which that and its state stay:
    of a span it is the span, before, while and after it runs.
    """
    if budget.starts_at is None or budget.ends_at is None:
        period = period_of(budget, at_us)
        assert period is not None, "only a span has an outside"
        return period, period.start_us, period.end_us
    span = BudgetPeriod(moment_us(budget.starts_at), moment_us(budget.ends_at))
    if at_us < span.start_us:
        return span, -(2**62), span.start_us
    return (span, span.start_us, span.end_us) if at_us in span else (span, span.end_us, 2**62)


def status_record(status: BudgetStatus) -> tuple[str, bytes]:
    """Key and value on `governance.status`."""
    return status_key(status.budget_id, status.period.start), status.model_dump_json().encode()


def retired_key(budget_id: str, start_us: int) -> str:
    """Key whose tombstone retires a period."""
    start: datetime = to_datetime(start_us)
    return status_key(budget_id, start)

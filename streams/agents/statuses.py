"""In: a budget, its total in a period, and how far counting has come. Out: the status that gateways and people read."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from runtime.clock import to_datetime
from schemas.control.budgets import LEVELS, Budget
from schemas.control.periods import BudgetPeriod
from schemas.status import AsOf, BudgetState, BudgetStatus, StatusPeriod, status_key
from streams.agents.budget_texts import UNITS, scope_of
from streams.agents.totals import CALLS, PROVISIONAL, used


def budget_status(
    budget: Budget,
    period: BudgetPeriod,
    sums: np.ndarray,
    uncounted: str | None,
    watermark_us: int | None,
    offsets: dict[int, int],
    now_us: int,
) -> BudgetStatus:
    """Status from sums[5]. `uncounted` says why the total may be too low.

    Then the state is `unknown`, unless what was counted is already at hard: more use cannot undo that.
    """
    amount = int(used(budget.unit, sums[None, :])[0])
    levels = {level: budget.level_units(level) for level in LEVELS}
    state: BudgetState = "ok"
    for level in LEVELS:
        if amount >= levels[level]:
            state = level
    if uncounted is not None and state != "hard":
        state = "unknown"
    return BudgetStatus(
        budget_id=budget.id,
        rule=budget.rule,
        scope=scope_of(budget),
        owner=budget.owner,
        contact=budget.contact,
        period=StatusPeriod(
            kind=budget.period,
            start=to_datetime(period.start_us),
            end=to_datetime(period.end_us),
            time_zone=budget.time_zone,
        ),
        unit=UNITS[budget.unit],
        used=amount,
        provisional=int(sums[PROVISIONAL]) if budget.unit == "usd" else 0,
        limit=budget.limit_units,
        used_share=amount / budget.limit_units,
        calls=int(sums[CALLS]),
        state=state,
        state_reason=uncounted,
        mode=budget.mode,
        would_stop=amount >= levels["hard"],
        levels=levels,
        as_of=AsOf(watermark=None if watermark_us is None else to_datetime(watermark_us), offsets=dict(offsets)),
        evaluated_at=to_datetime(now_us),
    )


def status_record(status: BudgetStatus) -> tuple[str, bytes]:
    """Key and value on `governance.status`."""
    return status_key(status.budget_id, status.period.start), status.model_dump_json().encode()


def retired_key(budget_id: str, start_us: int) -> str:
    """Key whose tombstone retires a period."""
    start: datetime = to_datetime(start_us)
    return status_key(budget_id, start)

"""In: one evaluation. Out: what the status of each budget shows of it; worked out for all at once, and once an hour."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import numpy as np

from runtime.clock import to_datetime
from schemas.control.budgets import Budget
from schemas.status import Forecast
from streams.agents.forecast.evaluation import Evaluation, exhausted_on
from streams.agents.forecast.gamma import Z90
from streams.agents.forecast.local_time import HOUR_US, WEEK_HOURS
from streams.agents.forecast.roster import Roster


class Shown:
    """Of the evaluation `seen`; the roster's memories must be those that it was made from."""

    def __init__(self, roster: Roster, seen: Evaluation) -> None:
        self.seen = seen
        self._roster = roster
        self._exhausted: dict[tuple[int, int], datetime | None] = {}

    @cached_property
    def _bands(self) -> np.ndarray:
        """float64[n, 3]: the totals with chances of 10, 50 and 90 % of staying below."""
        return np.stack([self.seen.total(z) for z in (-Z90, 0.0, Z90)], axis=1)

    @cached_property
    def _chances(self) -> np.ndarray:
        return self.seen.chance(self._roster.limits)

    def of(self, slot: int, budget: Budget, used: int) -> Forecast:
        """Of one budget as it holds. What has been used since the evaluation is not forgotten."""
        p10, p50, p90 = (max(used, round(amount)) for amount in self._bands[slot].tolist())
        limit, first = budget.limit_units, int(self._roster.rows["first"][slot])
        chance = 1.0 if used > limit else self._chance(slot, float(limit))
        return Forecast(
            p10=p10,
            p50=p50,
            p90=p90,
            chance_of_exceeding=round(min(max(chance, 0.0), 1.0), 4),
            exhausted_on=self._exhausted_on(slot, limit) if p50 >= limit else None,
            method="hour_of_week" if self.seen.is_long[slot] else "insufficient_history",
            weeks=0.0 if first < 0 else round(max(0, self.seen.hour - first) / WEEK_HOURS, 2),
            evaluated_at=to_datetime(self.seen.hour * HOUR_US),
        )

    def _chance(self, slot: int, limit: float) -> float:
        """Of exceeding the document's limit, unless an exception adds to it."""
        if self._roster.limits[slot] == limit:
            return float(self._chances[slot])
        return float(self.seen.one(slot).chance(np.array([limit]))[0])

    def _exhausted_on(self, slot: int, limit: int) -> datetime | None:
        key = (slot, limit)
        if key not in self._exhausted:
            self._exhausted[key] = exhausted_on(self._roster, slot, self.seen, limit)
        return self._exhausted[key]

"""In: memories, periods and what they have used when an hour begins. Out: what their rest will use, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from runtime.clock import to_datetime
from streams.agents.forecast.gamma import chance_above, quantile
from streams.agents.forecast.local_time import HOUR_US, WEEK_HOURS, hours_of_week
from streams.agents.forecast.model import Outlook, Rest, outlook
from streams.agents.forecast.roster import Roster
from streams.agents.forecast.straight import straight_on

#: From this much history on a budget's own week is used.
LEAST_HOURS: Final = 4 * WEEK_HOURS


@dataclass(frozen=True, slots=True)
class Evaluation:
    """By slot of the roster, as known at the start of `hour`: float64[n], but `is_long` (four weeks of history) and
    `is_known` (there is something to go by), which are bool[n].
    """

    hour: int
    start_us: np.ndarray
    end_us: np.ndarray
    used: np.ndarray
    rest: Outlook
    is_long: np.ndarray
    is_known: np.ndarray

    def one(self, slot: int) -> Evaluation:
        """Of one slot alone."""
        at = slice(slot, slot + 1)
        rest = Outlook(self.rest.mean[at], self.rest.variation[at])
        return Evaluation(
            self.hour, self.start_us[at], self.end_us[at], self.used[at], rest, self.is_long[at], self.is_known[at]
        )

    def total(self, z: float) -> np.ndarray:
        """The period's total that stands `z` normal deviations up."""
        found: np.ndarray = self.used + quantile(self.rest.mean, self.rest.variation, z)
        return found

    def chance(self, limits: np.ndarray) -> np.ndarray:
        """Chance that the total exceeds the limits."""
        return chance_above(self.rest.mean, self.rest.variation, limits - self.used)


def evaluate(roster: Roster, hour: int, used: np.ndarray) -> Evaluation:
    """`used`: what each running period has used before the hour. The roster's periods are those of that hour."""
    count = len(roster.numbers)
    at_us = hour * HOUR_US
    inside = (roster.start_us <= at_us) & (at_us < roster.end_us)
    begun = roster.rows["first"] >= 0
    is_long = begun & (hour - roster.rows["first"] >= LEAST_HOURS)
    gone = np.where(inside, (at_us - roster.start_us) / HOUR_US, 0)
    left = np.where(inside, (roster.end_us - at_us) / HOUR_US, 0)
    straight = straight_on(used, gone, left)
    mean, variation = straight.mean, straight.variation
    for zone, slots in roster.zones.items():
        mine = slots[is_long[slots] & inside[slots]]
        for end_us in np.unique(roster.end_us[mine]).tolist():
            own = mine[roster.end_us[mine] == end_us]
            seen = outlook(roster.rows[own], hour, Rest.of(zone, hour, end_us))
            mean[own], variation[own] = seen.mean, seen.variation
    is_known = inside & (is_long | ((gone >= 1) & (used > 0)))
    assert len(mean) == count
    return Evaluation(
        hour, roster.start_us.copy(), roster.end_us.copy(), used, Outlook(mean, variation), is_long, is_known
    )


def exhausted_on(roster: Roster, slot: int, seen: Evaluation, limit: int) -> datetime | None:
    """When the expected use reaches the limit, within the period; the evaluation where it has."""
    used, end_us = float(seen.used[slot]), int(seen.end_us[slot])
    rest = float(seen.one(slot).total(0.0)[0]) - used
    if used >= limit or rest <= 0:
        return to_datetime(seen.hour * HOUR_US) if used >= limit else None
    hours = np.arange(seen.hour, -(-end_us // HOUR_US), dtype=np.int64)
    weights = np.ones(len(hours))
    if seen.is_long[slot]:
        weights = roster.rows["shape"][slot].astype(np.float64)[hours_of_week(roster.budgets[slot].time_zone, hours)]
    if not weights.sum() > 0:
        return None
    course = used + rest * np.cumsum(weights) / weights.sum()
    at = int(np.searchsorted(course, limit))
    if at >= len(hours):
        return to_datetime(end_us - 1) if limit <= used + rest else None
    before = used if at == 0 else float(course[at - 1])
    share = (limit - before) / max(float(course[at]) - before, 1e-9)
    return to_datetime(min(int((int(hours[at]) + share) * HOUR_US), end_us - 1))

"""In: closed weeks of one use case. Out: whether its cost has grown faster than what it achieves, and since when.

The weeks run from the one with the lowest cost per outcome to the newest. Cost and outcomes of both ends are read off
a line through the logarithms whose slope is the median of the slopes between all pairs of weeks (Theil 1950, Sen 1968),
so one odd week decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import Week

WEEK_HOURS: Final = 168
_LEAST_WEEKS: Final = 4
#: Of the pairs of weeks, how many more must rise than fall in cost per outcome.
_STEADY: Final = 0.5
#: Calls without a price beyond this share make the cost too uncertain to judge by.
_UNPRICED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Trend:
    """Of the weeks [start_hour, end_hour): fitted cost in nano-USD and outcomes a week, then and now; calls of the
    first and the last week, as counted.
    """

    start_hour: int
    end_hour: int
    weeks: int
    cost_then: float
    cost_now: float
    outcomes_then: float
    outcomes_now: float
    first: Week
    last: Week

    @property
    def then(self) -> float:
        """Cost per outcome, nano-USD."""
        return self.cost_then / self.outcomes_then

    @property
    def now(self) -> float:
        return self.cost_now / self.outcomes_now

    @property
    def observed(self) -> int:
        """Nano-USD a month of 30 days, at the outcomes of now."""
        return _month(self.now * self.outcomes_now)

    @property
    def expected(self) -> int:
        """The same at the cost per outcome of then."""
        return _month(self.then * self.outcomes_now)


def usable(weeks: Sequence[Week], until_hour: int, policy: ReviewPolicy) -> tuple[Week, ...]:
    """The newest weeks without a gap that can be judged; empty when the last one before `until_hour` cannot. The week
    in which calls begin is none of them: it may not be whole.
    """
    found: list[Week] = []
    with_calls = {week.hour for week in weeks if week.calls}
    for week in reversed(weeks):
        due = until_hour - WEEK_HOURS * (len(found) + 1)
        if week.hour > due:
            continue
        if (
            week.hour != due
            or week.succeeded < policy.least_outcomes
            or week.cost <= 0
            or week.unpriced > _UNPRICED * week.calls
        ):
            break
        found.append(week)
    if found and found[-1].hour - WEEK_HOURS not in with_calls:
        found.pop()
    return tuple(reversed(found))


def find_trend(weeks: Sequence[Week], policy: ReviewPolicy) -> Trend | None:
    """`weeks`: usable ones. None: too few, or cost per outcome does not rise as the policy wants it."""
    if not weeks:
        return None
    lowest = min(range(len(weeks)), key=lambda at: (weeks[at].cost / weeks[at].succeeded, -at))
    trend = fit(weeks[lowest:])
    if trend is None or _steadiness(weeks[lowest:]) < _STEADY:
        return None
    is_worth = (
        trend.now >= policy.outcome_ratio * trend.then
        and trend.cost_now >= policy.least_growth * trend.cost_then
        and trend.observed - trend.expected >= policy.least_outcome_extra
    )
    return trend if is_worth else None


def fit(weeks: Sequence[Week]) -> Trend | None:
    """None with fewer than four weeks."""
    if len(weeks) < _LEAST_WEEKS:
        return None
    cost = _ends([math.log(week.cost) for week in weeks])
    outcomes = _ends([math.log(week.succeeded) for week in weeks])
    first, last = weeks[0], weeks[-1]
    return Trend(first.hour, last.hour + WEEK_HOURS, len(weeks), *cost, *outcomes, first, last)


def _ends(logs: Sequence[float]) -> tuple[float, float]:
    """First and last value of the line."""
    slope = median((logs[j] - logs[i]) / (j - i) for i, j in combinations(range(len(logs)), 2))
    start = median(log - slope * at for at, log in enumerate(logs))
    return math.exp(start), math.exp(start + slope * (len(logs) - 1))


def _steadiness(weeks: Sequence[Week]) -> float:
    """Kendall's tau of cost per outcome with time."""
    per = [week.cost / week.succeeded for week in weeks]
    signs = [(per[j] > per[i]) - (per[j] < per[i]) for i, j in combinations(range(len(per)), 2)]
    return sum(signs) / len(signs)


def _month(per_week: float) -> int:
    return round(per_week * 30 / 7)

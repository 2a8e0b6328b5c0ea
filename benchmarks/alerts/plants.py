"""In: how long the live part lasts. Out: the crossings and runaways that it holds, and the budgets that they cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from benchmarks.alerts.traffic import Rows, Surge, Traffic, team_name
from schemas.control.budgets import Budget, Scope

#: One call of so many tokens at gpt-4o costs 40 cents at the least; budgets of 30 cents are beyond hard (120 %) by it.
_INPUT, _OUTPUT = 100_000, 30_000
_LIMIT: Final = Decimal("0.3")
#: A runaway that is plain needs this much of the live part behind it.
_TAIL_S: Final = 80.0
_FIRST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Crossing:
    """One call, `at_s` into the live part, that takes `budget` from nothing to its hard level."""

    budget: str
    team: int
    use_case: int
    at_s: float

    def rows(self, at_us: int) -> Rows:
        return Rows(*(np.array([value]) for value in (at_us, self.team, self.use_case, 0, _INPUT, _OUTPUT)))


@dataclass(frozen=True, slots=True)
class Runaway:
    """From `at_s` into the live part on, a watched team uses `times` its usual."""

    team: int
    times: int
    at_s: float

    def surge(self, live_us: int, calls_per_s: float) -> Surge:
        return Surge(self.team, live_us + round(self.at_s * 1e6), (self.times - 1) * calls_per_s)


def crossings(traffic: Traffic, seconds: float, count: int, seed: int = 11) -> tuple[list[Crossing], list[Budget]]:
    """`count` of them at moments drawn over the live part, each of a budget of its own, with those budgets."""
    random = np.random.default_rng(seed)
    moments = np.sort(random.uniform(_FIRST_S, seconds - 5, count)).tolist()
    names = [f"crossing-{number:03}" for number in range(count)]
    found, budgets = [], []
    for number, (name, use_case) in enumerate(zip(names, traffic.name_use_cases(names), strict=True)):
        team = traffic.watched + number % traffic.loading
        found.append(Crossing(name, team, use_case, moments[number]))
        scope = Scope(team=team_name(team), use_case=name)
        budgets.append(Budget(id=name, scope=scope, limit=_LIMIT, period="month"))
    return found, budgets


def usual_budgets(teams: int) -> list[Budget]:
    """Two of each team and two of everybody, which nothing here crosses."""
    mine = [
        Budget(id=f"{team_name(n)}-{period}", scope=Scope(team=team_name(n)), limit=Decimal(10**7), period=period)
        for n in range(teams)
        for period in ("day", "month")
    ]
    return [*mine, *(Budget(id=f"all-{period}", limit=Decimal(10**9), period=period) for period in ("day", "month"))]


def runaways(times: Sequence[int], slow: Sequence[int], each: int, seconds: float, seed: int = 13) -> list[Runaway]:
    """`each` of each size, by turns, at moments drawn so that `_TAIL_S` are left; those of `slow` in the first half
    minute. Every one in a team of its own."""
    random = np.random.default_rng(seed)
    plain = [size for _ in range(each) for size in times]
    moments = np.sort(random.uniform(_FIRST_S, seconds - _TAIL_S, len(plain))).tolist()
    found = [Runaway(team, size, at_s) for team, (size, at_s) in enumerate(zip(plain, moments, strict=True))]
    for size in (size for _ in range(each) for size in slow):
        found.append(Runaway(len(found), size, float(random.uniform(_FIRST_S, _FIRST_S + 30))))
    return found

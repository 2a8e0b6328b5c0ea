"""In: approved exceptions of budgets. Out: each budget as it holds in a period at a moment: its document, with the
limit raised by the extra amounts then in force.

A period is judged by the moment where event time stands, but never by one outside of it: what is told late of a period
is held against what held at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

import numpy as np

from schemas.control.base import moment_us
from schemas.control.budgets import NANO_PER_USD, Budget
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import BudgetPeriod

#: Exact for every amount that a document may hold.
_WIDE: Final = Context(prec=80)
#: No limit goes beyond what a column of 64 bits holds with room for its levels.
_MOST_UNITS: Final = 2**62 - 1


@dataclass(frozen=True, slots=True)
class Grant:
    """One approved exception of a budget: `extra` in the budget's unit as written, event time [from_us, to_us)."""

    id: str
    extra: Decimal
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Effective:
    """A budget as it is judged: `budget` is the `document` with `extra` whole units on top of its limit."""

    budget: Budget
    document: Budget
    extra: int = 0
    exceptions: tuple[str, ...] = ()


class Grants:
    """The approved exceptions of a shard's home budgets."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Grant, ...]] = {}
        self._boundaries = np.zeros(0, dtype=np.int64)
        self._made: dict[tuple[str, tuple[str, ...]], Effective] = {}

    def take(self, approved: Iterable[ExceptionGrant], others_us: Iterable[int] = ()) -> None:
        """Let these count from now on. `others_us`: moments at which something else turns."""
        of: dict[str, list[Grant]] = {}
        for record in approved:
            if record.budget is not None and record.extra is not None:
                grant = Grant(record.id, record.extra, moment_us(record.valid_from), moment_us(record.valid_to))
                of.setdefault(record.budget, []).append(grant)
        self._of = {name: tuple(sorted(grants, key=_rank)) for name, grants in of.items()}
        moments = {us for grants in self._of.values() for grant in grants for us in (grant.from_us, grant.to_us)}
        self._boundaries = np.array(sorted(moments.union(others_us)), dtype=np.int64)
        self._made.clear()

    @property
    def boundaries(self) -> np.ndarray:
        """int64[n] sorted: the moments of event time at which a limit or an exception's step turns."""
        return self._boundaries

    def of(self, budget_id: str) -> tuple[Grant, ...]:
        """In the order of their beginning."""
        return self._of.get(budget_id, ())

    def effective(self, budget: Budget, period: BudgetPeriod, at_us: int) -> Effective:
        """The budget in one of its periods, as event time stands."""
        grants = self._of.get(budget.id)
        if grants is None:
            return Effective(budget, budget)
        within_us = min(max(at_us, period.start_us), period.end_us - 1)
        held = [grant for grant in grants if grant.from_us <= within_us < grant.to_us]
        key = (budget.id, tuple(grant.id for grant in held))
        made = self._made.get(key)
        if made is None or made.document is not budget:
            made = self._made[key] = _raised(budget, held)
        return made


def _raised(budget: Budget, held: list[Grant]) -> Effective:
    if not held:
        return Effective(budget, budget)
    scale = Decimal(NANO_PER_USD if budget.unit == "usd" else 1)
    limit = budget.limit
    for grant in held:
        limit = _WIDE.add(limit, grant.extra)
    limit = min(limit, _WIDE.divide(Decimal(_MOST_UNITS), scale))
    raised = budget.model_copy(update={"limit": limit})
    return Effective(raised, budget, raised.limit_units - budget.limit_units, tuple(sorted(grant.id for grant in held)))


def extra_units(budget: Budget, extra: Decimal) -> int:
    """An extra amount in whole units."""
    return min(_MOST_UNITS, int(_WIDE.multiply(extra, Decimal(NANO_PER_USD if budget.unit == "usd" else 1))))


def _rank(grant: Grant) -> tuple[int, str]:
    return grant.from_us, grant.id

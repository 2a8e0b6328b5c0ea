"""In: the control snapshot. Out: the home budgets of a shard as they hold: with the exceptions and the acknowledgements
that count, and as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.clock import to_datetime
from runtime.rights import acknowledgement_fault
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant
from schemas.control.snapshot import ControlSnapshot
from schemas.status import Acknowledged
from streams.agents.exceptions.grants import Grant, Grants
from streams.agents.totals import Plan, Totals


class Holdings:
    """The documents that one shard judges by. `home`: its budgets by id."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self.home: dict[str, Budget] = {}
        self.plan = Plan([], totals)
        self.grants = Grants()
        #: Approved exceptions and the acknowledgement that count, by budget.
        self._granted: dict[str, tuple[Grant, ...]] = {}
        self.acknowledged: dict[str, Acknowledgement] = {}

    def is_same(self, budget: Budget) -> bool:
        """Whether this very document is in force already."""
        return self.home.get(budget.id) == budget

    def take(
        self,
        home: dict[str, Budget],
        approved: Iterable[ExceptionGrant],
        boundaries: Iterable[int],
        control: ControlSnapshot,
    ) -> list[Budget]:
        """Let these hold from now on; those that are new or hold otherwise. `approved`: exceptions; `boundaries`: all
        moments at which a step of one comes about.
        """
        self.grants.take([one for one in approved if one.budget is None or one.budget in home], boundaries)
        acknowledged = {
            record.id: record
            for record in control.acknowledgements.values()
            if record.id in home and acknowledgement_fault(record, control) is None
        }
        changed = [
            budget
            for budget in home.values()
            if not self.is_same(budget)
            or self.grants.of(budget.id) != self._granted.get(budget.id, ())
            or acknowledged.get(budget.id) != self.acknowledged.get(budget.id)
        ]
        self.home, self.acknowledged = home, acknowledged
        self._granted = {name: grants for name in home if (grants := self.grants.of(name))}
        self.plan = Plan(list(home.values()), self._totals, lambda name: name in self._granted, self.plan)
        return changed

    def turned(self, earlier_us: int | None, watermark_us: int | None) -> list[tuple[Budget, int | None]]:
        """Budgets with an exception that begins or ends in (earlier, watermark], and the last such moment. All that
        have any, once event time is first known.
        """
        found: list[tuple[Budget, int | None]] = []
        for budget_id, grants in sorted(self._granted.items()):
            moments = [us for grant in grants for us in (grant.from_us, grant.to_us)]
            passed = [us for us in moments if watermark_us is not None and (earlier_us or 0) < us <= watermark_us]
            if passed or earlier_us is None:
                found.append((self.home[budget_id], max(passed, default=None)))
        return found

    def word(self, budget_id: str, start_us: int) -> Acknowledged | None:
        """Whose word lets the budget go on in the period that starts then."""
        record = self.acknowledged.get(budget_id)
        if record is None or moment_us(record.period_start) != start_us:
            return None
        return Acknowledged(level=record.level, by=record.decision.by, at=to_datetime(moment_us(record.decision.at)))

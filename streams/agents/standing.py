"""In: every alert and status that stands on its topic. Out: what has been told of each crossing and budget; and a
shard's memory of it, restored.

The topics are the truth: what was told there is not told again, whatever the totals say of the way to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.budgets import LEVELS, NANO_PER_USD, Budget, Scope, Unit
from schemas.control.periods import MINUTE_US
from schemas.control.snapshot import ControlSnapshot
from schemas.status import AsOf, BudgetStatus, GovernanceStatus, status_key
from schemas.tallies import ALL_CALLS, home_partition
from streams.agents.budget_texts import UNITS
from streams.agents.budgets import BudgetBook
from streams.agents.counting import Term
from streams.agents.crossing_times import QUARTER_MINUTES
from streams.agents.crossings import Crossing, CrossingKey
from streams.agents.exceptions.watch import exception_home
from streams.agents.reviews.watch import HOME as REVIEWS_HOME
from streams.agents.totals import used

_UNITS: Final[dict[str, Unit]] = {alert_unit: unit for unit, alert_unit in UNITS.items()}
#: No day is longer than this, clock changes included.
_DAY_HOURS: Final = 26


@dataclass
class Standing:
    """The newest state of each alert, all states that were told, and the newest status of each budget and period."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    told: set[tuple[str, int, str]] = field(default_factory=set)
    statuses: dict[str, BudgetStatus] = field(default_factory=dict)
    governance: dict[str, GovernanceStatus] = field(default_factory=dict)

    @staticmethod
    def of(alerts: Iterable[Alert], statuses: Iterable[tuple[str, BudgetStatus | GovernanceStatus | None]]) -> Standing:
        """From records in the order of their topics; a status of None retires its key."""
        standing = Standing()
        for alert in alerts:
            standing.told.add(identity(alert))
            known = standing.alerts.get(alert.alert_id)
            if known is None or known.revision <= alert.revision:
                standing.alerts[alert.alert_id] = alert
        for key, status in statuses:
            if status is None:
                standing.statuses.pop(key, None)
                standing.governance.pop(key, None)
            elif isinstance(status, GovernanceStatus):
                standing.governance[key] = status
            else:
                standing.statuses[key] = status
        return standing

    def at_home(self, partition: int, partitions: int) -> Standing:
        """What one shard has told."""

        def own(key: str) -> bool:
            return home_partition(key, partitions) == partition

        return Standing(
            {name: alert for name, alert in self.alerts.items() if own(alert_home(alert))},
            self.told,
            {key: status for key, status in self.statuses.items() if own(f"budget/{status.budget_id}")},
            self.governance if own(f"policy/{ALL_CALLS}") else {},
        )

    def judged(self) -> dict[int, int]:
        """Up to which source offset, by input partition, this shard was judged when a status was last told."""
        newest = max(self._as_of(), key=lambda as_of: sum(as_of.offsets.values()), default=None)
        return {} if newest is None else dict(newest.offsets)

    def watermark_us(self) -> int | None:
        """Where event time stood when a status was last told."""
        told = [as_of.watermark for as_of in self._as_of() if as_of.watermark is not None]
        return max((moment_us(moment) for moment in told), default=None)

    def _as_of(self) -> list[AsOf]:
        return [
            *(status.as_of for status in self.statuses.values()),
            *(status.as_of for status in self.governance.values()),
        ]


def identity(alert: Alert) -> tuple[str, int, str]:
    return alert.alert_id, alert.revision, alert.state


def alert_home(alert: Alert) -> str:
    """The key whose home partition raises such an alert."""
    if alert.exception is not None:
        return exception_home(alert.budget_id, alert.exception.id)
    if alert.budget_id is not None:
        return f"budget/{alert.budget_id}"
    if alert.policy_rule is not None:
        return f"policy/{alert.policy_rule}"
    if alert.scope.source is not None:
        return f"source/{alert.scope.source}"
    if alert.kind in ("workflow_regression", "value_divergence"):
        return REVIEWS_HOME
    return f"team/{alert.scope.team}"


def restore_budgets(
    book: BudgetBook, standing: Standing, control: ControlSnapshot, watermark_us: int | None, whole: bool
) -> None:
    """Let the book remember what was told of its budgets. Its totals stand; it has not seen the control log yet.

    `whole`: nothing is missing in its totals and open quarters of an hour.
    """
    _restore_terms(book, standing, control)
    for alert in standing.alerts.values():
        book.exceptions.remember(alert)
        if alert.kind != "budget":
            continue
        crossing = _crossing(alert, control, standing)
        book.verdicts.crossings.put(crossing)
        key = book.totals.key(crossing.budget, crossing.key.period_start_us)
        total = book.totals.amount(crossing.budget, key)
        holds = total >= crossing.budget.level_units(crossing.key.level)
        ended = watermark_us is not None and crossing.period_end_us <= watermark_us
        # What was resolved because its period ended is over; what was resolved before that may be reached again.
        if crossing.state == "firing" or (ended and holds):
            book.totals.set_fired(key, LEVELS.index(crossing.key.level), True)
        if whole and crossing.state == "firing" and _is_undated(book, crossing, key, total, watermark_us):
            book.verdicts.crossings.put(replace(crossing, dated=False))


def _is_undated(book: BudgetBook, crossing: Crossing, key: int, total: int, watermark_us: int | None) -> bool:
    """Whether the level is held only with the quarters of an hour that have not passed: then it is dated once they
    have.
    """
    minutes, sums = book.quarters.table.owner_rows(key >> 32)
    passed = 0 if watermark_us is None else watermark_us // MINUTE_US - QUARTER_MINUTES
    start = crossing.key.period_start_us // MINUTE_US
    still_open = (minutes >= start) & (minutes < crossing.period_end_us // MINUTE_US) & (minutes > passed)
    in_open = int(used(crossing.budget.unit, sums[still_open]).sum())
    return total - in_open < crossing.budget.level_units(crossing.key.level)


def _restore_terms(book: BudgetBook, standing: Standing, control: ControlSnapshot) -> None:
    """Since when each budget is counted, and which of its periods stand on the status topic."""
    whole: dict[str, list[int]] = {}
    rules: dict[str, str] = {}
    for _, status in sorted(standing.statuses.items()):
        start_us = moment_us(status.period.start)
        book.published(status.budget_id, start_us, personal=status.scope.one_person is True)
        whole.setdefault(status.budget_id, [])
        rules[status.budget_id] = status.rule
        if status.state_reason is None:
            whole[status.budget_id].append(start_us)
    for alert in standing.alerts.values():
        if alert.kind == "budget" and alert.budget_id is not None and alert.budget_id not in rules:
            budget = control.budgets.get(alert.budget_id)
            rules[alert.budget_id] = "" if budget is None else budget.rule
    for budget_id, rule in rules.items():
        starts = whole.get(budget_id, [])
        since = control.offsets.get(f"budget/{budget_id}", control.position - 1)
        # A budget that was unknown may still be: the tallies that stand will tell.
        book.counting.terms[budget_id] = Term(rule, since, min(starts) - 1 if starts else None)


def _crossing(alert: Alert, control: ControlSnapshot, standing: Standing) -> Crossing:
    assert alert.budget_id is not None
    assert alert.level is not None
    status = standing.statuses.get(status_key(alert.budget_id, alert.window.start))
    word = None if status is None else status.acknowledged
    document = control.budgets.get(alert.budget_id)
    return Crossing(
        key=CrossingKey(alert.budget_id, moment_us(alert.window.start), alert.level),
        revision=alert.revision,
        state="resolved" if alert.state == "resolved" else "firing",
        period_end_us=moment_us(alert.window.end),
        occurred_us=moment_us(alert.occurred_at),
        observed=alert.observed,
        historical=alert.historical,
        budget=_as_told(alert, control),
        dated=True,
        extra=0 if document is None or alert.limit is None else max(0, alert.limit - document.limit_units),
        acknowledged=word.by if word is not None and word.level == alert.level else None,
    )


def _as_told(alert: Alert, control: ControlSnapshot) -> Budget:
    """The budget's document as the alert knew it: with its limit and mode, so that a change since then is told."""
    assert alert.budget_id is not None
    unit = _UNITS[alert.unit]
    limit = Decimal(alert.limit or 1) / (NANO_PER_USD if unit == "usd" else 1)
    known = control.budgets.get(alert.budget_id)
    if known is not None and known.unit == unit:
        told = known.model_dump() | {"limit": limit, "mode": alert.mode or known.mode}
        return Budget.model_validate(told)
    hours = (alert.window.end - alert.window.start).total_seconds() / 3_600
    return Budget(
        id=alert.budget_id,
        scope=Scope(**alert.scope.model_dump(exclude={"source", "one_person"})),
        unit=unit,
        limit=limit,
        period="month" if hours > _DAY_HOURS else "day",
        mode=alert.mode or "warn",
        owner=alert.owner,
        contact=alert.contact,
    )

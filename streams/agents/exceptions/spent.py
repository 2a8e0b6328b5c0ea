"""In: an exception that is over, its budget and what was used. Out: how much of the extra amount that took."""

from __future__ import annotations

from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import MINUTE_US, running_period
from streams.agents.exceptions.grants import Grants, extra_units
from streams.agents.totals import Totals, used


def used_of_extra(record: ExceptionGrant, budget: Budget, totals: Totals, grants: Grants) -> int:
    """The most that any period used of it, in whole units: beyond the document's limit and what earlier exceptions had
    added when it ended.
    """
    if record.extra is None:
        return 0
    from_us, to_us = moment_us(record.valid_from), moment_us(record.valid_to)
    extra, most = extra_units(budget, record.extra), 0
    starts, sums = totals.table.owner_rows(totals.number(budget))
    for start, amount in zip(starts.tolist(), used(budget.unit, sums).tolist(), strict=True):
        period = running_period(budget, start * MINUTE_US)
        if period.start_us >= to_us or period.end_us <= from_us:
            continue
        last_us = min(to_us, period.end_us) - 1
        earlier = sum(
            extra_units(budget, grant.extra)
            for grant in grants.of(budget.id)
            if (grant.from_us, grant.id) < (from_us, record.id) and grant.from_us <= last_us < grant.to_us
        )
        most = max(most, min(extra, amount - budget.limit_units - earlier))
    return most

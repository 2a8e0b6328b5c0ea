"""In: an exception or a budget, and a signer. Out: the record with their signed decision; or why it would not count.

What is published here is what agents will heed: both ask `runtime.rights`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from runtime.rights import acknowledgement_fault, exception_fault
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import moment_us, us_moment
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import period_of
from schemas.control.snapshot import ControlSnapshot
from schemas.status import BudgetStatus
from streamgauge.exceptions.problems import Refused, among
from streamgauge.exceptions.signing import Signer

Verdict = Literal["approved", "denied", "revoked"]


def find(exception_id: str, snapshot: ControlSnapshot) -> ExceptionGrant:
    grant = snapshot.exceptions.get(exception_id)
    if grant is None:
        raise Refused(among("exception", exception_id, snapshot.exceptions))
    return grant


def decide(
    grant: ExceptionGrant, verdict: Verdict, signer: Signer, snapshot: ControlSnapshot, now: datetime, note: str | None
) -> ExceptionGrant:
    """The exception with its new decision. Refused when that is not theirs to make, or when it is too late for it."""
    now = now.replace(microsecond=0)
    before = grant.decision
    if verdict == "revoked":
        if not grant.is_approved:
            raise Refused(f"exception {grant.id} is not approved, so there is nothing to revoke: deny it instead")
    # A decision that never counted, such as one of somebody without the right, binds nobody.
    elif before is not None and exception_fault(grant, snapshot) is None:
        instead = "revoke it" if grant.is_approved and verdict == "denied" else "ask anew"
        raise Refused(
            f"exception {grant.id} was {before.verdict} by {before.by} on {before.at:%Y-%m-%d %H:%M} UTC: {instead}"
        )
    if grant.valid_to <= now:
        raise Refused(
            f"exception {grant.id} ended at {grant.valid_to:%Y-%m-%d %H:%M} UTC: there is nothing left to decide"
        )
    decided = grant.model_copy(update={"decision": signer.decision(grant, verdict, now, note)})
    fault = exception_fault(decided, snapshot)
    if fault is not None:
        raise Refused(f"exception {grant.id} cannot be {verdict}: {fault}")
    return decided


def acknowledge(
    budget_id: str,
    level: Literal["soft", "hard"],
    signer: Signer,
    snapshot: ControlSnapshot,
    status: BudgetStatus | None,
    now: datetime,
    note: str | None,
) -> Acknowledgement:
    """That the budget goes on above its level in its running period: the newest that has a status, else the clock's."""
    now = now.replace(microsecond=0)
    budget = snapshot.budgets.get(budget_id)
    if budget is None:
        raise Refused(among("budget", budget_id, snapshot.budgets))
    if status is not None:
        start = status.period.start
        if status.state in ("ok", "warning") or (level == "hard" and status.state == "soft"):
            raise Refused(
                f"budget {budget_id} stands at {status.state}, below its {level} limit: there is nothing to acknowledge"
            )
    else:
        period = period_of(budget, moment_us(now))
        if period is None:
            raise Refused(f"budget {budget_id} has no period now: its span is {budget.starts_at} to {budget.ends_at}")
        start = us_moment(period.start_us)
    known = snapshot.acknowledgements.get(budget_id)
    if (
        known is not None
        and known.period_start == start
        and level in (known.level, "soft")
        and acknowledgement_fault(known, snapshot) is None
    ):
        raise Refused(
            f"budget {budget_id} is acknowledged for this period already, by {known.decision.by} on "
            f"{known.decision.at:%Y-%m-%d %H:%M} UTC"
        )
    empty = Decision(verdict="acknowledged", by=signer.principal.id, at=now, via="signature")
    record = Acknowledgement(id=budget_id, period_start=start, level=level, decision=empty)
    record = record.model_copy(update={"decision": signer.decision(record, "acknowledged", now, note)})
    fault = acknowledgement_fault(record, snapshot)
    if fault is not None:
        raise Refused(f"budget {budget_id} cannot be acknowledged: {fault}")
    return record

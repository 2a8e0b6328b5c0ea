"""In: exceptions and acknowledgements that files bring, and those in force. Out: the records that stand; problems where
a decision is not its author's to take, or a file would undo what was decided since.

What was decided by command lives beside the files: a file that still has the request, or an older decision, leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runtime.rights import acknowledgement_fault, exception_fault
from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import moment_us, us_moment
from schemas.control.exceptions import ExceptionGrant
from schemas.control.periods import period_of
from schemas.control.records import ControlRecord
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.loading import Loaded
from streamgauge.apply.problems import Problem

#: A date is midnight UTC, and somewhere that day has begun already.
_DAY_US: Final = 86_400_000_000


def came_by_command(record: ControlRecord) -> bool:
    """Whether no file needs to bring it: a request, or what somebody signed or a rule decided."""
    if isinstance(record, ExceptionGrant | Acknowledgement):
        return record.decision is None or record.decision.via != "review"
    return False


def settle(loaded: Loaded, current: ControlSnapshot) -> tuple[dict[str, ControlRecord], list[Problem]]:
    """The records of the files, each with the newest decision on it; problems where an id means two things."""
    records: dict[str, ControlRecord] = {}
    problems: list[Problem] = []
    for key, record in loaded.records.items():
        old = current.records.get(key)
        if isinstance(record, ExceptionGrant) and isinstance(old, ExceptionGrant):
            settled = _exception(record, old)
            if isinstance(settled, str):
                problems.append(Problem(loaded.place(key, "id"), "id", settled))
                continue
            records[key] = settled
        elif isinstance(record, Acknowledgement) and isinstance(old, Acknowledgement):
            newer = (old.period_start, old.decision.at) > (record.period_start, record.decision.at)
            records[key] = old if newer else record
        else:
            records[key] = record
    return records, problems


def _exception(record: ExceptionGrant, old: ExceptionGrant) -> ExceptionGrant | str:
    """The one that stands, or why there cannot be one."""
    if old.requested_by != record.requested_by:
        return f"exception {record.id} is already there, asked for by {old.requested_by}: give this one another id"
    if old.decision is None:
        return record
    told = f"exception {record.id} was {old.decision.verdict} by {old.decision.by} on {old.decision.at.date()}"
    later = record.decision is not None and record.decision.at >= old.decision.at
    if later:
        return record
    if _request(record) != _request(old):
        return f"{told}: what was decided on is not changed afterwards; ask anew, with another id"
    return old


def _request(grant: ExceptionGrant) -> Mapping[str, object]:
    # What lies below a department is filled in by apply, not asked for.
    return grant.model_dump(exclude={"decision": True, "permits": {"scope": {"within"}}})


def check_decisions(after: ControlSnapshot, loaded: Loaded, now_us: int | None) -> list[Problem]:
    """Decisions that files bring must be by somebody with the right; a signature in a file must hold. None may be of a
    day to come, which no later word could outdate.
    """
    problems: list[Problem] = []
    for key in loaded.places:
        record, given = after.records.get(key), loaded.records.get(key)
        if not isinstance(record, ExceptionGrant | Acknowledgement) or record.decision is None:
            continue
        if isinstance(given, ExceptionGrant | Acknowledgement) and given.decision != record.decision:
            # The newer decision in force stands; whoever evaluates it judges it.
            continue
        if now_us is not None and moment_us(record.decision.at) > now_us + _DAY_US:
            why = f"{record.decision.at.isoformat()} is still to come: write when it was decided"
            problems.append(Problem(loaded.place(key, "decision.at"), "decision.at", why))
        if isinstance(record, Acknowledgement):
            _add(problems, loaded, key, acknowledgement_fault(record, after))
            problems += _period(record, after, loaded, key)
        elif record.decision.via == "rule":
            why = "a rule decides by itself when it is asked: leave the decision out, or write via: review"
            problems.append(Problem(loaded.place(key, "decision.via"), "decision.via", why))
        else:
            _add(problems, loaded, key, exception_fault(record, after))
    return problems


def _add(problems: list[Problem], loaded: Loaded, key: str, fault: str | None) -> None:
    # An unknown budget is told as a reference.
    if fault is None or fault.endswith("is not known"):
        return
    field = "decision.signature" if "signature" in fault else "decision.by"
    problems.append(Problem(loaded.place(key, field), field, fault))


def _period(record: Acknowledgement, after: ControlSnapshot, loaded: Loaded, key: str) -> list[Problem]:
    budget = after.budgets.get(record.id)
    if budget is None:
        return []
    start_us = moment_us(record.period_start)
    period = period_of(budget, start_us)
    if period is not None and period.start_us == start_us:
        return []
    if period is None:
        why = f"budget {budget.id} has no period then: it runs from {budget.starts_at} to {budget.ends_at}"
    else:
        why = (
            f"no period of budget {budget.id} starts then: the one that holds this moment starts at "
            f"{us_moment(period.start_us).isoformat()}"
        )
    return [Problem(loaded.place(key, "period_start"), "period_start", why)]

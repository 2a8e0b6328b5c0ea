"""In: what budgets stand at by their agents. Out: the same totals by ClickHouse's rows and adjustments, and where they
differ.

A status says how far it has counted: by input partition, the next offset (`as_of`). Rows are summed up to just there,
so the comparison is exact while events flow. It can be made once the sink has passed those offsets. Which events a
budget selects is told by its document: a status names neither the departments below its own nor a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal
from itertools import product
from typing import Any, Final

from pydantic import ValidationError

from schemas.alerts import AlertUnit
from schemas.control.base import moment_us
from schemas.control.budgets import Budget, Scope
from schemas.status import BudgetStatus
from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Finding, Kind, Line

#: Column of an event -> parameter of the values that budgets want of it, parameter that switches it on.
_SELECTORS: Final = {
    "department": ("departments", "by_department"),
    "team_id": ("teams", "by_team"),
    "project_id": ("projects", "by_project"),
    "use_case": ("use_cases", "by_use_case"),
    "stage": ("stages", "by_stage"),
    "model_class": ("model_classes", "by_model_class"),
    "workflow": ("workflows", "by_workflow"),
    "user_hash": ("people", "by_person"),
    "role": ("roles", "by_role"),
    "criticality": ("criticalities", "by_criticality"),
    "data_class": ("data_classes", "by_data_class"),
}
#: Budgets asked for at once: their offsets travel in the address of a request.
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Total:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nanousd: int = 0

    def in_unit(self, unit: AlertUnit) -> int:
        if unit == "tokens":
            return self.input_tokens + self.output_tokens
        return int(getattr(self, unit))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A status that can be judged, and what its budget selects: column -> values."""

    status: BudgetStatus
    selectors: Mapping[str, tuple[str, ...]]


def judge_budgets(
    database: Database,
    log: str,
    statuses: Sequence[BudgetStatus],
    documents: Mapping[str, Budget],
    reached: Mapping[int, int],
) -> tuple[list[Line], list[str]]:
    """One line, and notes. `documents`: the budgets in force, by id. `reached`: by partition, the offset up to which
    ClickHouse has the present log's rows.
    """
    shapes: dict[tuple[str, ...], list[_Judged]] = defaultdict(list)
    notes, may_see_people = [], None
    for status in sorted(statuses, key=lambda one: (one.budget_id, one.period.start)):
        why = _not_judged(status, reached)
        scope = _scope_of(status, documents.get(status.budget_id))
        if why is None and scope is None:
            why = "its document is no longer what it counts by, and the status alone does not tell all that it selects"
        if why is None and scope is not None and scope.is_personal:
            if may_see_people is None:
                may_see_people = _may_see_people(database)
            if not may_see_people:
                why = "it is about one person, and this user of ClickHouse may not read whose call an event was"
        if why is not None or scope is None:
            notes.append(f"budget {_named(status)}: not judged, {why}")
        else:
            selectors = scope.selectors()
            shapes[tuple(sorted(selectors))].append(_Judged(status, selectors))
    findings: list[Finding] = []
    for shape, alike in shapes.items():
        for start in range(0, len(alike), _AT_ONCE):
            some = alike[start : start + _AT_ONCE]
            totals = _totals(database, log, shape, some)
            for one, total in zip(some, totals, strict=True):
                finding, note = _compare(database, log, one.status, total)
                findings += [] if finding is None else [finding]
                notes += [] if note is None else [note]
    judged = [one.status for alike in shapes.values() for one in alike]
    return [Line("agents", log, None, len(judged), sum(one.calls for one in judged), tuple(findings))], notes


def _not_judged(status: BudgetStatus, reached: Mapping[int, int]) -> str | None:
    # A span that is over says so, and its total is complete.
    if status.state == "unknown" or (status.state_reason is not None and status.period.kind != "span"):
        return f"its total is not complete: {status.state_reason or 'the reason was not given'}"
    late = sum(max(0, offset - reached.get(partition, 0)) for partition, offset in status.as_of.offsets.items())
    return f"ClickHouse is {late} messages behind it" if late else None


def _scope_of(status: BudgetStatus, document: Budget | None) -> Scope | None:
    """What the status counts by: its document's scope, or the status's own where that is the whole rule; None where
    neither is.
    """
    if document is not None and document.rule == status.rule:
        return document.scope
    told = status.scope.model_dump(exclude={"one_person", "source"}, exclude_none=True)
    is_span = status.period.kind == "span"
    try:
        rebuilt = Budget(
            id=status.budget_id,
            scope=Scope(**told),
            unit="usd" if status.unit == "nanousd" else status.unit,
            limit=Decimal(1),
            period=status.period.kind,
            starts_at=status.period.start if is_span else None,
            ends_at=status.period.end if is_span else None,
            time_zone=status.period.time_zone,
        )
    except ValidationError:
        return None
    return rebuilt.scope if rebuilt.rule == status.rule else None


def _may_see_people(database: Database) -> bool:
    return bool(ask(database, "people_granted")[0][0])


def _totals(database: Database, log: str, shape: Sequence[str], judged: Sequence[_Judged]) -> list[_Total]:
    statuses = [one.status for one in judged]
    partitions = sorted({partition for status in statuses for partition in status.as_of.offsets}) or [0]
    spans = [(moment_us(one.period.start), moment_us(one.period.end)) for one in statuses]
    #: Number of the budget, and a value for each selector of the shape.
    wanted = [
        (number, dict(zip(shape, values, strict=True)))
        for number, one in enumerate(judged)
        for values in product(*(one.selectors[column] for column in shape))
    ]
    given: dict[str, Any] = {
        "log": log,
        "numbers": [number for number, _ in wanted],
        "starts": [spans[number][0] for number, _ in wanted],
        "ends": [spans[number][1] for number, _ in wanted],
        "oldest": min(start for start, _ in spans),
        "newest": max(end for _, end in spans),
        "person": "user_hash" if "user_hash" in shape else "workflow",
    }
    for column, (values, switch) in _SELECTORS.items():
        given[switch] = int(column in shape)
        given[values] = [mine.get(column, "") for _, mine in wanted]
    cuts = [one.as_of.offsets.get(partition, 0) for one in statuses for partition in partitions]
    totals = [_Total() for _ in statuses]
    rows = ask(database, "budget_sums", partitions=partitions, cuts=cuts, **given)
    for number, *more in [*rows, *ask(database, "budget_adjustments", **given)]:
        totals[number] = _Total(*(one + other for one, other in zip(astuple(totals[number]), more, strict=True)))
    return totals


def _compare(database: Database, log: str, status: BudgetStatus, total: _Total) -> tuple[Finding | None, str | None]:
    calls = status.calls - total.calls
    used = status.used - total.in_unit(status.unit)
    if not calls and not used:
        return None, None
    ((refused, *_),) = ask(
        database,
        "refused_in",
        log=log,
        oldest=moment_us(status.period.start),
        newest=moment_us(status.period.end),
    )
    if 0 < calls <= refused and used >= 0:
        return None, (
            f"budget {_named(status)}: {calls} calls above ClickHouse, which refused {refused} events of this time for "
            "their content (usage_rejected, refused_by_clickhouse)"
        )
    detail = (
        f"agents {status.used} {status.unit} and {status.calls} calls, ClickHouse {total.in_unit(status.unit)} and "
        f"{total.calls}"
    )
    kind: Kind = "total_high" if (used or calls) > 0 else "total_low"
    return Finding("agents", kind, log, None, abs(calls) or 1, budget=_named(status), detail=detail), None


def _named(status: BudgetStatus) -> str:
    return f"{status.budget_id} from {status.period.start:%Y-%m-%d}"

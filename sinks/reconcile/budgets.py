"""In: what budgets stand at by their agents. Out: the same totals by ClickHouse's rows and adjustments, and where they
differ.

A status says how far it has counted: by input partition, the next offset (`as_of`). Rows are summed up to just there,
so the comparison is exact while events flow. It can be made once the sink has passed those offsets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.control.base import moment_us
from schemas.status import BudgetStatus
from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Finding, Kind, Line

#: Scope field -> parameter of its values, parameter that switches it on.
_SELECTORS: Final = {
    "department": ("departments", "by_department"),
    "team": ("teams", "by_team"),
    "project": ("projects", "by_project"),
    "use_case": ("use_cases", "by_use_case"),
    "stage": ("stages", "by_stage"),
    "model_class": ("model_classes", "by_model_class"),
}
#: Budgets asked for at once: their offsets travel in the address of a request.
_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class _Total:
    calls: int = 0
    tokens: int = 0
    nanousd: int = 0

    def in_unit(self, unit: str) -> int:
        return {"calls": self.calls, "tokens": self.tokens}.get(unit, self.nanousd)


def judge_budgets(
    database: Database, log: str, statuses: Sequence[BudgetStatus], reached: Mapping[int, int]
) -> tuple[list[Line], list[str]]:
    """One line, and notes. `reached`: by partition, the offset up to which ClickHouse has the present log's rows."""
    judged, notes = [], []
    for status in sorted(statuses, key=lambda one: (one.budget_id, one.period.start)):
        why = _not_judged(status, reached)
        if why is None:
            judged.append(status)
        else:
            notes.append(f"budget {_named(status)}: not judged, {why}")
    shapes: dict[tuple[str, ...], list[BudgetStatus]] = defaultdict(list)
    for status in judged:
        shapes[tuple(sorted(status.scope.model_dump(include=set(_SELECTORS), exclude_none=True)))].append(status)
    findings: list[Finding] = []
    for shape, alike in shapes.items():
        for start in range(0, len(alike), _AT_ONCE):
            some = alike[start : start + _AT_ONCE]
            totals = _totals(database, log, shape, some)
            for status, total in zip(some, totals, strict=True):
                finding, note = _compare(database, log, status, total)
                findings += [] if finding is None else [finding]
                notes += [] if note is None else [note]
    return [Line("agents", log, None, len(judged), sum(one.calls for one in judged), tuple(findings))], notes


def _not_judged(status: BudgetStatus, reached: Mapping[int, int]) -> str | None:
    if status.state_reason is not None or status.state == "unknown":
        return f"its total is not complete: {status.state_reason or 'the reason was not given'}"
    late = sum(max(0, offset - reached.get(partition, 0)) for partition, offset in status.as_of.offsets.items())
    return f"ClickHouse is {late} messages behind it" if late else None


def _totals(database: Database, log: str, shape: Sequence[str], statuses: Sequence[BudgetStatus]) -> list[_Total]:
    partitions = sorted({partition for status in statuses for partition in status.as_of.offsets}) or [0]
    spans = [(moment_us(one.period.start), moment_us(one.period.end)) for one in statuses]
    given: dict[str, Any] = {
        "log": log,
        "numbers": list(range(len(statuses))),
        "starts": [start for start, _ in spans],
        "ends": [end for _, end in spans],
        "oldest": min(start for start, _ in spans),
        "newest": max(end for _, end in spans),
    }
    for field, (values, switch) in _SELECTORS.items():
        given[switch] = int(field in shape)
        given[values] = [str(getattr(one.scope, field) or "") if field in shape else "" for one in statuses]
    cuts = [one.as_of.offsets.get(partition, 0) for one in statuses for partition in partitions]
    totals = [_Total() for _ in statuses]
    rows = ask(database, "budget_sums", partitions=partitions, cuts=cuts, **given)
    for number, calls, tokens, money in [*rows, *ask(database, "budget_adjustments", **given)]:
        before = totals[number]
        totals[number] = _Total(before.calls + calls, before.tokens + tokens, before.nanousd + money)
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

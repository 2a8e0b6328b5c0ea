"""In: departments and their parents. Out: circles among them, what lies below each, and records whose scope has it
filled in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget, Scope
from schemas.control.departments import Department
from schemas.control.exceptions import ExceptionGrant
from schemas.control.records import ControlRecord


def circles(departments: Mapping[str, Department]) -> list[tuple[str, ...]]:
    """Each circle of parents once, from its least id on: (a, b) is a below b below a."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    clear: set[str] = set()
    for start in departments:
        path: list[str] = []
        here: str | None = start
        while here is not None and here in departments and here not in clear and here not in path:
            path.append(here)
            here = departments[here].parent
        if here is not None and here in path:
            circle = path[path.index(here) :]
            least = circle.index(min(circle))
            found[frozenset(circle)] = (*circle[least:], *circle[:least])
        clear.update(path)
    return [found[members] for members in sorted(found, key=sorted)]


def below(departments: Mapping[str, Department]) -> dict[str, tuple[str, ...]]:
    """Department -> all that lie below it, at any depth, in order of name; those without any are left out."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for department in departments.values():
        if department.parent is not None:
            children[department.parent].append(department.id)
    found: dict[str, tuple[str, ...]] = {}
    for top in children:
        seen: set[str] = set()
        waiting = list(children[top])
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += children.get(one, [])
        found[top] = tuple(sorted(seen - {top}))
    return found


def with_within(record: ControlRecord, beneath: Mapping[str, tuple[str, ...]]) -> ControlRecord:
    """The record, its scope naming every department that it counts.

    A department alone stays without, so that its bytes and its rule are those it had before there was a tree. What
    somebody signed is left as it was signed.
    """
    if isinstance(record, Budget | PlannedActivity):
        scope = _filled(record.scope, beneath)
        return record if scope == record.scope else record.model_copy(update={"scope": scope})
    if isinstance(record, ExceptionGrant) and record.permits is not None:
        if record.decision is not None and record.decision.via == "signature":
            return record
        scope = _filled(record.permits.scope, beneath)
        if scope != record.permits.scope:
            return record.model_copy(update={"permits": record.permits.model_copy(update={"scope": scope})})
    return record


def _filled(scope: Scope, beneath: Mapping[str, tuple[str, ...]]) -> Scope:
    lower = beneath.get(scope.department, ()) if scope.department is not None else ()
    within = (str(scope.department), *lower) if lower else ()
    return scope if within == scope.within else scope.model_copy(update={"within": within})

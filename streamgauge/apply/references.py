"""In: the records that would be in force after an apply. Out: problems: names that nobody defines, circles of
departments, prices that contradict each other.

A name is checked against what is in force and what the files define together, and for most kinds only where any such
thing is defined at all: a house without a directory may still budget by team.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget, Scope
from schemas.control.departments import Department
from schemas.control.directory import Sender, Team
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.policies import Policy
from schemas.control.principals import Principal
from schemas.control.records import ControlRecord, record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import OverrideConflictError, date_overrides
from streamgauge.apply.departments import circles
from streamgauge.apply.loading import Loaded
from streamgauge.apply.problems import Place, Problem
from streamgauge.apply.wording import meant

#: (field, what it names, the name, whether it is needed even where nothing of that sort is defined).
Named = tuple[str, str, str, bool]
_SAID: Final = {
    "use_case": "use case",
    "data_class": "data class",
    "model_class": "model class",
    "department document": "department",
}


def check_references(after: ControlSnapshot, current: ControlSnapshot, loaded: Loaded) -> list[Problem]:
    """`after`: all records in force once applied. What is in force is blamed only for what this apply takes away."""
    known, before = known_names(after), known_names(current)
    problems: list[Problem] = []
    for key, record in after.records.items():
        ours = key in loaded.places
        if not ours and isinstance(record, ExceptionGrant | Acknowledgement):
            # Moot once their budget is gone; whoever evaluates them says so.
            continue
        for field, what, name, needed in _names(record):
            names = known[what]
            if name in names or (not names and not needed):
                continue
            message = f"{_SAID.get(what, what)} {name!r} is not defined{meant(name, names)}"
            if what == "department document":
                message += " (by a document of kind department)"
            if ours:
                problems.append(Problem(loaded.place(key, field), field, message))
            elif name in before[what]:
                where = next(iter(sorted(loaded.places.values())), Place("(no file)", 1))
                problems.append(Problem(where, field, f"{message}, but {key}, which is in force, needs it"))
    return problems + _circles(after, loaded) + _prices(after, loaded)


def known_names(snapshot: ControlSnapshot) -> dict[str, set[str]]:
    """Every name by what it names."""
    standing = {str(term.department) for team in snapshot.teams.values() for term in team.terms if term.department}
    return {
        "team": set(snapshot.teams),
        # Without documents about departments, those that teams stand in are the departments.
        "department": set(snapshot.departments) | standing,
        "department document": set(snapshot.departments),
        "use_case": set(snapshot.use_cases),
        "model_class": {model.model_class for model in snapshot.models.values()},
        "role": {term.role for sender in snapshot.senders.values() for term in sender.terms if term.role is not None},
        "data_class": {
            *(one.data_class for one in snapshot.use_cases.values() if one.data_class is not None),
            *(name for model in snapshot.models.values() for name in model.approved_for),
            *(name for policy in snapshot.policies.values() for name in policy.when.data_class),
        },
        "budget": set(snapshot.budgets),
    }


def _names(record: ControlRecord) -> Iterator[Named]:
    """Every reference that a record makes."""
    if isinstance(record, Team):
        for department in dict.fromkeys(term.department for term in record.terms if term.department is not None):
            yield "department", "department document", department, False
    elif isinstance(record, Sender):
        for term in dict.fromkeys(record.terms):
            yield "team", "team", term.team, True
            if term.use_case is not None:
                yield "use_case", "use_case", term.use_case, False
    elif isinstance(record, Department):
        if record.parent is not None:
            yield "parent", "department document", record.parent, True
    elif isinstance(record, UseCase):
        yield from _each("teams", "team", record.teams)
    elif isinstance(record, Budget | PlannedActivity):
        yield from _of_scope("scope", record.scope)
    elif isinstance(record, Policy):
        for what in ("department", "team", "use_case", "role"):
            yield from _each(f"when.{what}", what, getattr(record.when, what), needed=what == "role")
    else:
        yield from _of_deciding(record)


def _of_deciding(record: ControlRecord) -> Iterator[Named]:
    if isinstance(record, Principal):
        yield from _each("teams", "team", record.teams)
        yield from _each("departments", "department", record.departments)
    elif isinstance(record, ExceptionGrant):
        if record.budget is not None:
            yield "budget", "budget", record.budget, True
        if record.permits is not None:
            yield from _of_scope("permits.scope", record.permits.scope)
        if record.data_class is not None:
            yield "data_class", "data_class", record.data_class, False
    elif isinstance(record, ExceptionRule):
        yield from _each("budgets", "budget", record.budgets, needed=True)
        yield from _each("teams", "team", record.teams)
        yield from _each("data_classes", "data_class", record.data_classes)
    elif isinstance(record, Acknowledgement):
        yield "id", "budget", record.id, True


def _of_scope(where: str, scope: Scope) -> Iterator[Named]:
    for what in ("team", "department", "use_case", "model_class", "role", "data_class"):
        name = getattr(scope, what)
        if name is not None:
            yield f"{where}.{what}", what, name, False


def _each(field: str, what: str, names: tuple[str, ...], *, needed: bool = False) -> Iterator[Named]:
    for number, name in enumerate(names):
        yield f"{field}.{number}", what, name, needed


def _circles(after: ControlSnapshot, loaded: Loaded) -> list[Problem]:
    problems = []
    for circle in circles(after.departments):
        ours = [f"department/{name}" for name in circle if f"department/{name}" in loaded.places]
        if ours:
            key = min(ours, key=lambda one: (loaded.places[one], one))
            told = " below ".join([*circle, circle[0]])
            why = f"departments lie in a circle, {told}: one of them needs another parent, or none"
            problems.append(Problem(loaded.place(key, "parent"), "parent", why))
    return problems


def _prices(after: ControlSnapshot, loaded: Loaded) -> list[Problem]:
    places: Mapping[str, Place] = loaded.places
    try:
        date_overrides(after.prices)
    except OverrideConflictError as conflict:
        named = [one for one in after.prices if f"{one.id!r}" in str(conflict) and record_key(one) in places]
        place = places[record_key(named[-1])] if named else next(iter(sorted(places.values())), Place("(no file)", 1))
        return [Problem(place, "valid_from", str(conflict))]
    return []

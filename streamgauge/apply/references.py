"""In: the records that would be in force after an apply. Out: problems: names that nobody defines, prices that
contradict each other.

A name is checked against what is in force and what the files define together, and only where any such thing
is defined at all: a house without a model catalogue may still budget by model class.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from schemas.control.budgets import Budget
from schemas.control.directory import Sender, Team
from schemas.control.models import CatalogueModel
from schemas.control.records import ControlRecord, record_key
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import OverrideConflictError, PriceOverride, date_overrides
from streamgauge.apply.problems import Place, Problem


def check_references(after: Mapping[str, ControlRecord], places: Mapping[str, Place]) -> list[Problem]:
    """`after`: all records in force once applied; `places`: where the files define the ones that they define."""
    records = after.values()
    teams = {record.id for record in records if isinstance(record, Team)}
    known: dict[str, set[str | None]] = {
        "team": {*teams},
        "department": {term.department for record in records if isinstance(record, Team) for term in record.terms}
        - {None},
        "use_case": {record.id for record in records if isinstance(record, UseCase)},
        "model_class": {record.model_class for record in records if isinstance(record, CatalogueModel)},
    }
    problems: list[Problem] = []
    for key, record in after.items():
        place = places.get(key)
        for field, what, name in _names(record):
            names = {str(one) for one in known[what]}
            # A sender needs its team; a budget may stand alone in a house that keeps no such list.
            if name in names or (not names and not isinstance(record, Sender)):
                continue
            message = f"{what.replace('_', ' ')} {name!r} is not defined{_meant(name, names)}"
            if place is not None:
                problems.append(Problem(place, field, message))
            else:
                where = next(iter(sorted(places.values())), Place("(no file)", 1))
                problems.append(Problem(where, field, f"{message}, but {key}, which is in force, needs it"))
    return problems + _prices(after, places)


def _names(record: ControlRecord) -> Iterator[tuple[str, str, str]]:
    """(field, what it names, the name) for every reference that a record makes."""
    if isinstance(record, Sender):
        for team in dict.fromkeys(term.team for term in record.terms):
            yield "team", "team", team
    elif isinstance(record, Budget):
        for what in ("team", "department", "use_case", "model_class"):
            name = getattr(record.scope, what)
            if name is not None:
                yield f"scope.{what}", what, name


def _prices(after: Mapping[str, ControlRecord], places: Mapping[str, Place]) -> list[Problem]:
    prices = [record for record in after.values() if isinstance(record, PriceOverride)]
    try:
        date_overrides(prices)
    except OverrideConflictError as conflict:
        named = [record for record in prices if f"{record.id!r}" in str(conflict) and record_key(record) in places]
        place = places[record_key(named[-1])] if named else next(iter(sorted(places.values())), Place("(no file)", 1))
        return [Problem(place, "valid_from", str(conflict))]
    return []


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""

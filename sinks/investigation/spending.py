"""In: a scope and two spans of event time. Out: what rose in it, and what its siblings used, of calls below offsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sinks.database import Database, read_sql
from sinks.recovery.bases import SELECTORS

Span = tuple[int, int]
#: No scope differs from another in who the person is: nobody is pointed at.
_NEVER_VARIED: Final = "user_hash"


@dataclass(frozen=True, slots=True)
class Asked:
    """What both questions have in common: the scope, the unit of amounts, two spans in µs, and source offsets."""

    selectors: Mapping[str, tuple[str, ...]]
    unit: str
    before: Span
    now: Span
    below: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """Of one value of a dimension (`all`: of the scope), in the unit asked for; and tokens of input and from cache."""

    dimension: str
    value: str
    now: int
    before: int
    input_now: int
    input_before: int
    cache_now: int
    cache_before: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A scope that differs in `column` alone, where it has `value`. `own`: it is the scope itself."""

    column: str
    value: str
    now: int
    before: int
    own: bool


class Spending:
    """`log`: identity of the log that offsets count in. Raises the driver's errors. Not thread-safe."""

    def __init__(self, database: Database, log: str) -> None:
        self._database, self._log = database, log

    def parts(self, asked: Asked) -> list[Part]:
        """The scope as a whole and by team, use case, workflow and model."""
        rows = self._database.query(read_sql("investigation", "movers.sql"), self._given(asked))
        return [Part(str(row[0]), str(row[1]), *(int(value) for value in row[2:])) for row in rows]

    def neighbours(self, asked: Asked) -> list[Neighbour]:
        """The scope itself and its siblings, by each selector that it has."""
        found: list[Neighbour] = []
        for column, own in asked.selectors.items():
            if column == _NEVER_VARIED:
                continue
            given = self._given(asked) | {"vary": column, "own": list(own), SELECTORS[column]: []}
            for value, now, before in self._database.query(read_sql("investigation", "siblings.sql"), given):
                found.append(Neighbour(column, str(value), int(now), int(before), value in own))
        return found

    def _given(self, asked: Asked) -> dict[str, Any]:
        given: dict[str, Any] = {name: list(asked.selectors.get(column, ())) for column, name in SELECTORS.items()}
        return given | {
            "log": self._log,
            "partitions": list(asked.below),
            "firsts": list(asked.below.values()),
            "unit": asked.unit,
            "before_from": asked.before[0],
            "before_to": asked.before[1],
            "now_from": asked.now[0],
            "now_to": asked.now[1],
        }

"""In: hours of event time and source offsets. Out: workflows that may have shifted, by hour; use cases, by week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sinks.database import Database, read_sql

#: Workflows that are read in one review, those that may cost most first.
_MOST: Final = 50
_WEEK_HOURS: Final = 168
_FIRST_MONDAY: Final = 96
_HOUR_US: Final = 3_600_000_000

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sieve:
    """Which workflows may be worth a look: those that have risen by nearly `ratio` and about `least_extra` nano-USD a
    month, by hours with `least_calls`, of hours [first, until).
    """

    first: int
    until: int
    ratio: float
    least_calls: int
    least_extra: int


@dataclass(frozen=True, slots=True)
class HourRow:
    """Of one team and workflow ("" for null). `amounts`: calls, tokens of input, cache reads and output; nano-USD in
    all, of uncached input with cache writes, of cache reads and of output.
    """

    name: Name
    hour: int
    version: str
    template: str
    model: str
    amounts: tuple[int, ...]
    least_use_case: str
    greatest_use_case: str


@dataclass(frozen=True, slots=True)
class SpikeRow:
    """The newest state of an alert; event time in µs."""

    alert_id: str
    team: str
    use_case: str
    start_us: int
    end_us: int
    runs: bool


@dataclass(frozen=True, slots=True)
class WeekRow:
    """`hour`: the Monday's, since the epoch. `cost` in nano-USD."""

    use_case: str
    hour: int
    calls: int
    unpriced: int
    cost: int
    succeeded: int
    failed: int


class Reading:
    """`log`: identity of the log that offsets count in; `below`: by partition, the first offset that is left out.
    Raises the driver's errors. Not thread-safe.
    """

    def __init__(self, database: Database, log: str, below: Mapping[int, int]) -> None:
        self._database = database
        self._bounds: dict[str, Any] = {
            "log": log,
            "partitions": list(below),
            "firsts": list(below.values()),
        }

    def shifted(self, sieve: Sieve) -> list[Name]:
        """At most 50, those that may cost most first."""
        given = self._bounds | {
            "first": sieve.first,
            "until": sieve.until,
            "early": sieve.first + _WEEK_HOURS,
            "week": sieve.until - _WEEK_HOURS,
            "lately": sieve.until - 24,
            "newest": sieve.until - 6,
            "ratio": sieve.ratio,
            "least_calls": sieve.least_calls,
            "least_extra": sieve.least_extra,
            "most": _MOST,
        }
        rows = self._database.query(read_sql("reviews", "shifted.sql"), given)
        return [(str(team), str(workflow)) for team, workflow in rows]

    def hours(self, names: Sequence[Name], first: int, until: int) -> list[HourRow]:
        """Of these workflows, in order of workflow and time."""
        if not names:
            return []
        given = self._bounds | {
            "teams": [team for team, _ in names],
            "workflows": [workflow for _, workflow in names],
            "first": first,
            "until": until,
        }
        rows = self._database.query(read_sql("reviews", "cells.sql"), given)
        return [
            HourRow(
                (str(row[0]), str(row[1])),
                int(row[2]),
                str(row[4]),
                str(row[5]),
                str(row[6]),
                tuple(int(value) for value in row[7:15]),
                str(row[15]),
                str(row[16]),
            )
            for row in rows
        ]

    def spikes(self, teams: Sequence[str], first: int, until: int) -> list[SpikeRow]:
        """Alerts on spikes of these teams that were open between these hours."""
        given = {"teams": list(teams), "first_us": first * _HOUR_US, "until_us": until * _HOUR_US}
        rows = self._database.query(read_sql("reviews", "spikes.sql"), given)
        return [SpikeRow(str(row[0]), str(row[1]), str(row[2]), int(row[3]), int(row[4]), bool(row[5])) for row in rows]

    def weeks(self, first: int, until: int) -> list[WeekRow]:
        """All use cases with outcomes, in order of use case and time. `first` and `until` are Mondays."""
        rows = self._database.query(read_sql("reviews", "weeks.sql"), self._bounds | {"first": first, "until": until})
        return [
            WeekRow(str(row[0]), int(row[1]) * _WEEK_HOURS + _FIRST_MONDAY, *(int(value) for value in row[2:]))
            for row in rows
        ]

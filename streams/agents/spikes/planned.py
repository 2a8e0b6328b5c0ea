"""In: planned activities. Out: which of them covers a series at a moment."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.control.base import moment_us
from schemas.control.snapshot import ControlSnapshot
from streams.agents.spikes.finding import Series


@dataclass(frozen=True, slots=True)
class Planned:
    """One activity: departments, team and use case that it covers (empty: all), from start to end in µs."""

    id: str
    departments: tuple[str, ...]
    team: str | None
    use_case: str | None
    start_us: int
    end_us: int

    def covers(self, series: Series, at_us: int, control: ControlSnapshot) -> bool:
        if not self.start_us <= at_us < self.end_us:
            return False
        if self.team not in (None, series.team) or self.use_case not in (None, series.use_case):
            return False
        return not self.departments or _department(series.team, at_us, control) in self.departments


def planned(control: ControlSnapshot) -> tuple[Planned, ...]:
    """All activities, by id."""
    found = []
    for key, activity in sorted(control.activities.items()):
        scope = activity.scope
        within = (scope.within or (scope.department,)) if scope.department is not None else ()
        found.append(
            Planned(key, within, scope.team, scope.use_case, moment_us(activity.starts_at), moment_us(activity.ends_at))
        )
    return tuple(found)


def _department(team: str, at_us: int, control: ControlSnapshot) -> str | None:
    known = control.teams.get(team)
    for term in known.terms if known is not None else ():
        if term.from_us <= at_us < term.to_us:
            return term.department
    return None

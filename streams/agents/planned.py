"""In: planned activities. Out: which of them covers a team or its use case at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.control.base import moment_us
from schemas.control.snapshot import ControlSnapshot


@dataclass(frozen=True, slots=True)
class Planned:
    """One activity: departments, team and use case that it covers (empty: all), from start to end in µs."""

    id: str
    departments: tuple[str, ...]
    team: str | None
    use_case: str | None
    start_us: int
    end_us: int

    def covers(self, team: str | None, use_case: str | None, at_us: int, control: ControlSnapshot) -> bool:
        """`team` None: of all teams, or of none that is known; only what is planned for all teams covers that."""
        if not self.start_us <= at_us < self.end_us:
            return False
        if self.team not in (None, team) or self.use_case not in (None, use_case):
            return False
        return not self.departments or _department(team, at_us, control) in self.departments


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


def activity_of(
    activities: Iterable[Planned], team: str | None, use_case: str | None, at_us: int, control: ControlSnapshot
) -> str | None:
    """Id of the first that covers it."""
    return next((one.id for one in activities if one.covers(team, use_case, at_us, control)), None)


def _department(team: str | None, at_us: int, control: ControlSnapshot) -> str | None:
    known = None if team is None else control.teams.get(team)
    for term in known.terms if known is not None else ():
        if term.from_us <= at_us < term.to_us:
            return term.department
    return None

"""In: the cast. Out: the numbers by which columns of codes name workloads, people, teams and models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sources.fleet import cast
from sources.fleet.roles import Model, TeamRole, Workload


@dataclass(frozen=True)
class Numbering:
    """Codes are places in these tuples; -1 is nobody or nothing."""

    roles: tuple[TeamRole, ...] = cast.ROLES

    @cached_property
    def workloads(self) -> tuple[tuple[TeamRole, Workload], ...]:
        return tuple((role, workload) for role in self.roles for workload in role.workloads)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        own = [workload.model for _, workload in self.workloads]
        return tuple(dict.fromkeys([*own, cast.OPUS]))

    @cached_property
    def people(self) -> tuple[str, ...]:
        return tuple(member for role in self.roles for member in role.members())

    def first_workload(self, team: str) -> int:
        return next(place for place, (role, _) in enumerate(self.workloads) if role.id == team)

    def first_person(self, team: str) -> int:
        """The code of the team's first member; its others follow. 0 for a team without people."""
        before = 0
        for role in self.roles:
            if role.id == team:
                return before
            before += len(role.members())
        raise KeyError(team)

    def team(self, team: str) -> int:
        return next(place for place, role in enumerate(self.roles) if role.id == team)

    def role(self, team: str) -> TeamRole:
        return self.roles[self.team(team)]

    @cached_property
    def team_of_workload(self) -> tuple[int, ...]:
        return tuple(self.team(role.id) for role, _ in self.workloads)

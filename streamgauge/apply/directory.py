"""In: a `directory` document: flat, dated entries. Out: one record per team and per sender, with its terms; people only
by keyed hash.

Entries of one id, in any file, are the history of that id, so a reorganisation is two lines: an end and a beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, ValidationError

from schemas.control.base import Dated, Id, Record, Stage, Text
from schemas.control.directory import Membership, Sender, SenderKind, Team, TeamTerm
from streamgauge.apply.problems import Place, Problem


class TeamEntry(Dated):
    """Where a team stood from `valid_from` until `valid_to`."""

    id: Id
    name: Text | None = None
    department: Id | None = None
    cost_center: Id | None = None
    owner: Text | None = None
    contact: Text | None = None


class _Entry(Dated):
    """What somebody or something belongs to, and what it then works on where that is fixed: an event that claims
    another use case or stage loses.
    """

    team: Id
    use_case: Id | None = None
    stage: Stage | None = None

    def term(self, role: str | None = None) -> Membership:
        return Membership(
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            team=self.team,
            role=role,
            use_case=self.use_case,
            stage=self.stage,
        )


class MemberEntry(_Entry):
    """A person, by the plain user id that events carry; only its keyed hash is published."""

    user: Text
    role: Id | None = None


class CredentialEntry(_Entry):
    """A key that calls are made with."""

    id: Text


class SourceEntry(_Entry):
    """A gateway or service that sends events."""

    id: Text


class DirectoryDocument(Record):
    """One `kind: directory` document."""

    kind: Literal["directory"]
    teams: tuple[TeamEntry, ...] = Field(default=())
    members: tuple[MemberEntry, ...] = Field(default=())
    credentials: tuple[CredentialEntry, ...] = Field(default=())
    sources: tuple[SourceEntry, ...] = Field(default=())


@dataclass(frozen=True, slots=True)
class SenderEntry:
    """One dated membership of a sender; `shown` is how problems name it."""

    sender: SenderKind
    id: str
    shown: str
    term: Membership
    place: Place


class UserKeyMissing(ValueError):
    """Members are named but there is no key to hash their ids with."""


def sender_entries(
    document: DirectoryDocument, place: Callable[[str, int], Place], hash_user: Callable[[str], str]
) -> list[SenderEntry]:
    """Members, credentials and sources as dated memberships; `place` finds (list, index) in the file."""
    entries = [
        SenderEntry("user", hash_user(one.user), f"user {one.user}", one.term(one.role), place("members", index))
        for index, one in enumerate(document.members)
    ]
    entries += [
        SenderEntry("credential", one.id, f"credential {one.id}", one.term(), place("credentials", index))
        for index, one in enumerate(document.credentials)
    ]
    entries += [
        SenderEntry("source", one.id, f"source {one.id}", one.term(), place("sources", index))
        for index, one in enumerate(document.sources)
    ]
    return entries


def group_teams(entries: Sequence[tuple[TeamEntry, Place]]) -> tuple[list[tuple[Team, Place]], list[Problem]]:
    """One record per team id; its place is that of its last entry."""
    grouped: defaultdict[str, list[tuple[TeamEntry, Place]]] = defaultdict(list)
    for entry, place in entries:
        grouped[entry.id].append((entry, place))
    teams: list[tuple[Team, Place]] = []
    problems: list[Problem] = []
    for team_id, family in grouped.items():
        family.sort(key=lambda pair: pair[0].from_us)
        place = family[-1][1]
        names = {entry.name for entry, _ in family if entry.name is not None}
        if len(names) > 1:
            problems.append(Problem(place, "teams", f"team {team_id} has two names, {_both(names)}: give it one"))
        terms = tuple(
            TeamTerm(
                valid_from=entry.valid_from,
                valid_to=entry.valid_to,
                department=entry.department,
                cost_center=entry.cost_center,
                owner=entry.owner,
                contact=entry.contact,
            )
            for entry, _ in family
        )
        try:
            teams.append((Team(id=team_id, name=next(iter(sorted(names)), None), terms=terms), place))
        except ValidationError as error:
            problems.append(Problem(place, "teams", f"{_why(error)}; see also {_others(family)}"))
    return teams, problems


def group_senders(entries: Sequence[SenderEntry]) -> tuple[list[tuple[Sender, Place]], list[Problem]]:
    """One record per sender; its place is that of its last entry."""
    grouped: defaultdict[tuple[SenderKind, str], list[SenderEntry]] = defaultdict(list)
    for entry in entries:
        grouped[entry.sender, entry.id].append(entry)
    senders: list[tuple[Sender, Place]] = []
    problems: list[Problem] = []
    for (kind, sender_id), family in grouped.items():
        family.sort(key=lambda entry: entry.term.from_us)
        last = family[-1]
        try:
            senders.append((Sender(sender=kind, id=sender_id, terms=tuple(entry.term for entry in family)), last.place))
        except ValidationError as error:
            others = _others([(entry, entry.place) for entry in family])
            # The record knows a person by hash; whoever reads the message knows them by name.
            why = _why(error).replace(f"{kind} {sender_id}", last.shown)
            problems.append(
                Problem(last.place, f"{kind}s" if kind != "user" else "members", f"{why}; see also {others}")
            )
    return senders, problems


def _why(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _others(family: Sequence[tuple[object, Place]]) -> str:
    return ", ".join(str(place) for _, place in family[:-1])


def _both(names: set[str]) -> str:
    return " and ".join(repr(name) for name in sorted(names))

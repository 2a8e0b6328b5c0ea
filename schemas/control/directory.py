"""In: who belongs where, with dates. Out: records for teams and for the senders (users, credentials, sources) that
belong to them.

Dated, so that an event is attributed by what held when it occurred, not by what holds now.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from schemas.control.base import Dated, Id, Record, Stage, Text

SenderKind = Literal["user", "credential", "source"]


class TeamTerm(Dated):
    """Where a team stood during one stretch of time, and who answers for it."""

    department: Id | None = None
    cost_center: Id | None = None
    owner: Text | None = None
    contact: Text | None = None


class Team(Record):
    """A team and its history. Terms may not overlap."""

    kind: Literal["team"] = "team"
    id: Id
    name: Text | None = None
    terms: tuple[TeamTerm, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_overlap(self) -> Team:
        refuse_overlap(f"team {self.id}", self.terms)
        return self


class Membership(Dated):
    """The team that a sender belonged to during one stretch of time, and what it then worked on, where that is fixed:
    an event that claims another use case or stage loses.
    """

    team: Id
    role: Id | None = None
    use_case: Id | None = None
    stage: Stage | None = None


class Sender(Record):
    """A user (by keyed hash, never the plain id), a credential or a source, and the teams it belonged to."""

    kind: Literal["sender"] = "sender"
    sender: SenderKind
    id: Text
    terms: tuple[Membership, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_overlap(self) -> Sender:
        refuse_overlap(f"{self.sender} {self.id}", self.terms)
        return self


def refuse_overlap(whose: str, terms: tuple[Dated, ...]) -> None:
    """ValueError naming both terms when two stretches of time share a moment."""
    ordered = sorted(terms, key=lambda term: term.from_us)
    for before, after in pairwise(ordered):
        if after.from_us < before.to_us:
            raise ValueError(
                f"{whose} has two entries for the same time: the one from {before.valid_from or 'ever'} lasts until "
                f"{before.valid_to or 'ever'}, but another starts at {after.valid_from or 'ever'}; "
                "set valid_to on the first"
            )

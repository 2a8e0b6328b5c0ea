"""In: a team or a source, a moment, the directory. Out: who answers for it then, and where they are reached."""

from __future__ import annotations

from schemas.control.base import Dated, moment_us
from schemas.control.snapshot import ControlSnapshot

Owner = tuple[str | None, str | None]


def team_owner(team_id: str, at_us: int, control: ControlSnapshot) -> Owner:
    """(owner, contact); nulls where the directory does not say."""
    team = control.teams.get(team_id)
    for term in team.terms if team is not None else ():
        if _holds(term, at_us):
            return term.owner, term.contact
    return None, None


def source_team(source: str, at_us: int, control: ControlSnapshot) -> str | None:
    """The team that the source belonged to then, where the directory knows it."""
    sender = control.senders.get(("source", source))
    for term in sender.terms if sender is not None else ():
        if _holds(term, at_us):
            return term.team
    return None


def _holds(term: Dated, at_us: int) -> bool:
    since = -(2**63) if term.valid_from is None else moment_us(term.valid_from)
    until = 2**63 - 1 if term.valid_to is None else moment_us(term.valid_to)
    return since <= at_us < until

"""In: the senders of a batch and the dated directory. Out: each row's team, how it was known, and where the team stood
then; and what the directory says of the sender beside the team.

Asked in this order, at the event's own time: the credential's team, the user's, the source's. Where the directory does
not know the sender, the event's own claim counts if the directory lists that team (or lists none at all). Else the row
is `unattributed`, for everybody to see. A claim against the directory loses, and is kept beside the answer. The role is
the user's, whoever told the team; use case and stage are asked in the order of the team, each by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.control.directory import Membership, SenderKind
from schemas.control.snapshot import ControlSnapshot
from schemas.enriched import ATTRIBUTIONS, UNATTRIBUTED
from streams.enrich.coded import NOBODY, Codes, Terms, coded, intern, look_up, look_up_all, nobody
from streams.enrich.columns import Ints

_KINDS: tuple[SenderKind, ...] = ("credential", "user", "source")
#: Answers of a sender's term.
_TEAM, _ROLE, _USE_CASE, _STAGE = range(4)
_FIXED: Final = (_USE_CASE, _STAGE)


@dataclass(frozen=True, slots=True)
class Attributed:
    """Columns of one batch, texts by codes. `team` are codes: those of DirectoryIndex.team_codes, and behind them
    claimed teams that the directory does not list. `use_case` and `stage` are what the directory fixes for the sender,
    as codes of DirectoryIndex.use_cases and .stages; None where it fixes none for anybody.
    """

    team_id: pa.Array
    department: pa.Array
    cost_center: pa.Array
    attribution: pa.Array
    conflict: npt.NDArray[np.bool_]
    unattributed: npt.NDArray[np.bool_]
    team: Codes
    role: pa.Array
    use_case: Codes | None
    stage: Codes | None


class DirectoryIndex:
    """The directory of one control snapshot, made for looking up whole columns."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self._is_listed = bool(snapshot.teams)
        listed = dict.fromkeys(
            [*snapshot.teams, *(term.team for sender in snapshot.senders.values() for term in sender.terms)]
        )
        self._listed = len(listed)
        # Teams that use cases name have a code, so that a claim can be held against it; that does not list them.
        self._teams = list(listed | dict.fromkeys(t for one in snapshot.use_cases.values() for t in one.teams))
        self.team_codes = {team: code for code, team in enumerate(self._teams)}
        self.use_cases: dict[str, int] = {}
        self.stages: dict[str, int] = {}
        self._roles: dict[str, int] = {}
        self._departments: dict[str, int] = {}
        self._centers: dict[str, int] = {}
        self._senders: dict[SenderKind, dict[str, int]] = {kind: {} for kind in _KINDS}
        self._sender_terms: dict[SenderKind, Terms] = {}
        for kind in _KINDS:
            mine = [sender for (its_kind, _), sender in snapshot.senders.items() if its_kind == kind]
            self._senders[kind] = {sender.id: place for place, sender in enumerate(mine)}
            self._sender_terms[kind] = Terms(
                [[(term, self._answers(term)) for term in sender.terms] for sender in mine], 4
            )
        self._team_terms = Terms(
            [
                [
                    (term, (intern(self._departments, term.department), intern(self._centers, term.cost_center)))
                    for term in (snapshot.teams[team].terms if team in snapshot.teams else ())
                ]
                for team in self._teams
            ],
            2,
        )

    def _answers(self, term: Membership) -> tuple[int, int, int, int]:
        return (
            self.team_codes[term.team],
            intern(self._roles, term.role),
            intern(self.use_cases, term.use_case),
            intern(self.stages, term.stage),
        )

    def attribute(
        self,
        occurred_us: Ints,
        claimed: pa.Array,
        credential: pa.Array,
        user_hash: pa.Array,
        source: pa.Array,
    ) -> Attributed:
        """Attribute a batch; all columns have one length."""
        rows = len(occurred_us)
        team, role = nobody(rows), nobody(rows)
        known_by = np.full(rows, ATTRIBUTIONS.index(UNATTRIBUTED), np.int8)
        fixed = {answer: nobody(rows) for answer in _FIXED if (self.use_cases, self.stages)[answer - _USE_CASE]}
        for kind, column in zip(_KINDS, (credential, user_hash, source), strict=True):
            if not self._senders[kind] or column.null_count == rows:
                continue
            answers = self._sender_terms[kind].at(look_up(column, self._senders[kind]), occurred_us)
            new = (team == NOBODY) & (answers[_TEAM] != NOBODY)
            team[new] = answers[_TEAM][new]
            known_by[new] = ATTRIBUTIONS.index(kind)
            if kind == "user":
                role = answers[_ROLE]
            for answer, known in fixed.items():
                np.copyto(known, answers[answer], where=known == NOBODY)

        names = list(self._teams)
        claim = look_up_all(claimed, self.team_codes, names)
        conflict = (team != NOBODY) & (claim != NOBODY) & (claim != team)
        believed = (team == NOBODY) & (claim != NOBODY)
        if self._is_listed:
            listed = claim < self._listed
            conflict |= believed & ~listed
            believed &= listed
        team[believed] = claim[believed]
        known_by[believed] = ATTRIBUTIONS.index("claim")

        unattributed = team == NOBODY
        names.append(UNATTRIBUTED)
        stands = self._team_terms.at(np.where(team < len(self._teams), team, NOBODY).astype(np.int32), occurred_us)
        return Attributed(
            coded(np.where(unattributed, len(names) - 1, team), names),
            coded(stands[0], list(self._departments)),
            coded(stands[1], list(self._centers)),
            coded(known_by, list(ATTRIBUTIONS)),
            conflict,
            unattributed,
            team,
            coded(role, list(self._roles)),
            fixed.get(_USE_CASE),
            fixed.get(_STAGE),
        )

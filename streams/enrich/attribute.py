"""In: the senders of a batch and the dated directory. Out: each row's team, how it was known, and where the team stood
then.

Asked in this order, at the event's own time: the credential's team, the user's, the source's. Where the directory does
not know the sender, the event's own claim counts if the directory lists that team (or lists none at all). Else the row
is `unattributed`, for everybody to see. A claim against the directory loses, and is kept beside the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.base import Dated
from schemas.control.directory import SenderKind
from schemas.control.snapshot import ControlSnapshot
from schemas.enriched import ATTRIBUTIONS, UNATTRIBUTED

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
NOBODY = -1

_KINDS: tuple[SenderKind, ...] = ("credential", "user", "source")


@dataclass(frozen=True, slots=True)
class Attributed:
    """Columns of one batch. `known_by` are places in ATTRIBUTIONS."""

    team_id: pa.Array
    department: pa.Array
    cost_center: pa.Array
    attribution: pa.Array
    conflict: npt.NDArray[np.bool_]
    unattributed: npt.NDArray[np.bool_]


class _Terms:
    """Dated answers of many subjects, flattened: subject i owns terms [starts[i], starts[i + 1])."""

    def __init__(self, subjects: Sequence[Iterable[tuple[Dated, Sequence[int]]]], answers: int) -> None:
        starts, begins, ends, values = [0], [], [], []
        for terms in subjects:
            for term, answer in terms:
                begins.append(term.from_us)
                ends.append(term.to_us)
                values.append(answer)
            starts.append(len(begins))
        self._starts = np.asarray(starts, np.int64)
        self._begins = np.asarray(begins, np.int64)
        self._ends = np.asarray(ends, np.int64)
        self._values = np.asarray(values, np.int32).reshape(len(begins), answers)
        self._answers = answers

    def at(self, subject: Codes, time_us: Ints) -> npt.NDArray[np.int32]:
        """Answers (rows × answers) of each row's subject at its time; NOBODY without a subject or a term."""
        out = np.full((len(subject), self._answers), NOBODY, np.int32)
        rows = np.flatnonzero(subject >= 0)
        place, end = self._starts[subject[rows]], self._starts[subject[rows] + 1]
        while len(rows):
            # One round per term of the subject with the most terms; nearly everybody has one.
            open_ = place < end
            rows, place, end = rows[open_], place[open_], end[open_]
            hit = (self._begins[place] <= time_us[rows]) & (time_us[rows] < self._ends[place])
            out[rows[hit]] = self._values[place[hit]]
            rows, place, end = rows[~hit], place[~hit] + 1, end[~hit]
        return out


class DirectoryIndex:
    """The directory of one control snapshot, made for looking up whole columns."""

    def __init__(self, snapshot: ControlSnapshot) -> None:
        self._listed = bool(snapshot.teams)
        self._teams = list(snapshot.teams)
        for sender in snapshot.senders.values():
            self._teams.extend(term.team for term in sender.terms)
        self._teams = list(dict.fromkeys(self._teams))
        self._code = {team: code for code, team in enumerate(self._teams)}
        self._departments: dict[str, int] = {}
        self._centers: dict[str, int] = {}
        self._senders: dict[SenderKind, dict[str, int]] = {kind: {} for kind in _KINDS}
        self._sender_terms: dict[SenderKind, _Terms] = {}
        for kind in _KINDS:
            mine = [sender for (its_kind, _), sender in snapshot.senders.items() if its_kind == kind]
            self._senders[kind] = {sender.id: place for place, sender in enumerate(mine)}
            self._sender_terms[kind] = _Terms(
                [[(term, (self._code[term.team],)) for term in sender.terms] for sender in mine], 1
            )
        self._team_terms = _Terms(
            [
                [
                    (term, (_intern(self._departments, term.department), _intern(self._centers, term.cost_center)))
                    for term in (snapshot.teams[team].terms if team in snapshot.teams else ())
                ]
                for team in self._teams
            ],
            2,
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
        team = np.full(rows, NOBODY, np.int32)
        known_by = np.full(rows, ATTRIBUTIONS.index(UNATTRIBUTED), np.int8)
        for kind, column in zip(_KINDS, (credential, user_hash, source), strict=True):
            if not self._senders[kind] or column.null_count == rows:
                continue
            answer = self._sender_terms[kind].at(_look_up(column, self._senders[kind]), occurred_us)[:, 0]
            new = (team == NOBODY) & (answer != NOBODY)
            team[new] = answer[new]
            known_by[new] = ATTRIBUTIONS.index(kind)

        names = list(self._teams)
        claim = self._claims(claimed, names)
        conflict = (team != NOBODY) & (claim != NOBODY) & (claim != team)
        believed = (team == NOBODY) & (claim != NOBODY)
        if self._listed:
            listed = claim < len(self._teams)
            conflict |= believed & ~listed
            believed &= listed
        team[believed] = claim[believed]
        known_by[believed] = ATTRIBUTIONS.index("claim")

        nobody = team == NOBODY
        names.append(UNATTRIBUTED)
        stands = self._team_terms.at(np.where(team < len(self._teams), team, NOBODY).astype(np.int32), occurred_us)
        return Attributed(
            _decode(np.where(nobody, len(names) - 1, team), names),
            _decode(stands[:, 0], list(self._departments)),
            _decode(stands[:, 1], list(self._centers)),
            _decode(known_by, list(ATTRIBUTIONS)),
            conflict,
            nobody,
        )

    def _claims(self, claimed: pa.Array, names: list[str]) -> Codes:
        """Claimed teams as codes into `names`, which grows by those that the directory does not list."""
        if claimed.null_count == len(claimed):
            return np.full(len(claimed), NOBODY, np.int32)
        codes = dict(self._code)
        for team in pc.unique(claimed).to_pylist():
            if team is not None and team not in codes:
                codes[team] = len(names)
                names.append(team)
        return _look_up(claimed, codes)


def _intern(table: dict[str, int], value: str | None) -> int:
    return NOBODY if value is None else table.setdefault(value, len(table))


def _look_up(column: pa.Array, codes: dict[str, int]) -> Codes:
    """The code of each row's text; NOBODY for null and for texts without one. Python sees each distinct text once."""
    encoded = column.dictionary_encode()
    table = np.asarray([codes.get(text, NOBODY) for text in encoded.dictionary.to_pylist()] + [NOBODY], np.int32)
    places = encoded.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    return table[places]  # type: ignore[no-any-return]


def _decode(codes: npt.NDArray[np.integer], names: list[str]) -> pa.Array:
    """Text column from codes; NOBODY becomes null."""
    if not names:
        return pa.nulls(len(codes), pa.utf8())
    missing = codes < 0
    return pa.array(names, pa.utf8()).take(pa.array(codes, mask=missing if missing.any() else None))

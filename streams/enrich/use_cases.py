"""In: what events claim of their use case and stage, and the documents. Out: the use case and stage that hold, what
depends on the use case, and the claims that lost.

The sender's term in the directory rules; where it fixes none, the claim counts: but a use case that names its teams can
be claimed by those alone, and one that has a fixed stage takes no other. A claim that contradicts loses and is kept
beside the answer. A use case that no document registers is left as it was claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.control.snapshot import ControlSnapshot
from streams.enrich.attribute import Attributed, DirectoryIndex
from streams.enrich.coded import NOBODY, Codes, coded, intern, look_up_all, nobody

_Truths = npt.NDArray[np.bool_]
_T = TypeVar("_T", np.int32, np.bool_)


@dataclass(frozen=True, slots=True)
class Purpose:
    """Columns of one batch, by codes where they were decided here. `claimed_*` are null but where a claim lost;
    `*_conflicts` are how many did.
    """

    use_case: pa.Array
    stage: pa.Array
    criticality: pa.Array
    data_class: pa.Array
    claimed_use_case: pa.Array
    claimed_stage: pa.Array
    use_case_conflicts: int
    stage_conflicts: int


class UseCaseIndex:
    """The use cases of one control snapshot, by codes that begin with those of the directory."""

    def __init__(self, snapshot: ControlSnapshot, directory: DirectoryIndex) -> None:
        self._codes = dict(directory.use_cases)
        for name in snapshot.use_cases:
            intern(self._codes, name)
        self._stages = dict(directory.stages)
        self._criticalities: dict[str, int] = {}
        self._data_classes: dict[str, int] = {}
        # Each has one place more, for use cases that no document registers and for none at all.
        places = len(self._codes) + 1
        self._stage_of, self._criticality_of, self._data_class_of = nobody(places), nobody(places), nobody(places)
        self._is_closed = np.zeros(places, bool)
        self._teams = len(directory.team_codes)
        #: Use case and team that may claim it, as `_pairs` has them.
        allowed: set[int] = set()
        for name, one in snapshot.use_cases.items():
            code = self._codes[name]
            self._stage_of[code] = intern(self._stages, one.stage)
            self._criticality_of[code] = intern(self._criticalities, one.criticality)
            self._data_class_of[code] = intern(self._data_classes, one.data_class)
            self._is_closed[code] = bool(one.teams)
            allowed.update(code * (self._teams + 1) + directory.team_codes[team] for team in one.teams)
        self._allowed = np.array(sorted(allowed), np.int64)

    def judge(self, use_case: pa.Array, stage: pa.Array, data_class: pa.Array, attributed: Attributed) -> Purpose:
        """What holds for each row; the first three columns are the events' own, and all have one length."""
        rows = len(use_case)
        code = nobody(rows)
        claimed_use_case = claimed_stage = pa.nulls(rows, pa.utf8())
        use_case_conflicts = stage_conflicts = 0
        if self._codes:
            names = list(self._codes)
            claim = look_up_all(use_case, self._codes, names)
            code, lost = self._effective(claim, attributed)
            if code is not claim:
                claimed_use_case, use_case_conflicts = _where(lost, use_case), int(lost.sum())
            use_case = coded(code, names)
        if self._stages:
            fixed = self._of(self._stage_of, code)
            if attributed.stage is not None:
                fixed = np.where(attributed.stage == NOBODY, fixed, attributed.stage)
            if (fixed != NOBODY).any():
                names = list(self._stages)
                claim = look_up_all(stage, self._stages, names)
                lost = (fixed != NOBODY) & (claim != NOBODY) & (claim != fixed)
                claimed_stage, stage_conflicts = _where(lost, stage), int(lost.sum())
                stage = coded(np.where(fixed == NOBODY, claim, fixed), names)
        if self._data_classes and data_class.null_count:
            names = list(self._data_classes)
            claim = look_up_all(data_class, self._data_classes, names)
            data_class = coded(np.where(claim == NOBODY, self._of(self._data_class_of, code), claim), names)
        criticality = coded(self._of(self._criticality_of, code), list(self._criticalities))
        return Purpose(
            use_case,
            stage,
            criticality,
            data_class,
            claimed_use_case,
            claimed_stage,
            use_case_conflicts,
            stage_conflicts,
        )

    def _effective(self, claim: Codes, attributed: Attributed) -> tuple[Codes, _Truths]:
        """The use case that holds, which is `claim` itself where all claims stand, and which claims lost."""
        fixed = attributed.use_case
        code, lost = claim, np.zeros(len(claim), bool)
        if fixed is not None:
            lost = (fixed != NOBODY) & (claim != NOBODY) & (claim != fixed)
            code = np.where(fixed == NOBODY, claim, fixed)
        if len(self._allowed):
            asked = self._of(self._is_closed, claim)
            places = np.flatnonzero(asked if fixed is None else asked & (fixed == NOBODY))
            refused = places[~np.isin(self._pairs(claim[places], attributed.team[places]), self._allowed)]
            if len(refused):
                lost[refused] = True
                code = code.copy()
                code[refused] = NOBODY
        return code, lost

    def _pairs(self, use_case: Codes, team: Codes) -> npt.NDArray[np.int64]:
        """One integer for a use case and a team. Whoever has no code of the directory has the last place."""
        place = np.where(team == NOBODY, self._teams, np.minimum(team, self._teams))
        return use_case.astype(np.int64) * (self._teams + 1) + place

    def _of(self, table: npt.NDArray[_T], code: Codes) -> npt.NDArray[_T]:
        """What `table` has for each row's use case; NOBODY is the place at the end."""
        return table[np.minimum(code, len(table) - 1)]


def _where(lost: _Truths, column: pa.Array) -> pa.Array:
    """The column's texts where a claim lost, null elsewhere."""
    return pc.if_else(pa.array(lost), column, pa.scalar(None, pa.utf8()))

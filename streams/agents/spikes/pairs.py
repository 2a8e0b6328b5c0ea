"""In: team and use case of rows. Out: dense numbers of the pairs, of which each team can fill only so many."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from streams.agents.arrow_columns import integers
from streams.agents.names import Names

SEPARATOR: Final = "\x1f"
#: Use cases told apart per team: whoever sends may write what they like there. Further ones share one place.
_MOST: Final = 64
_REST: Final = "(other)"


class Pairs(Names):
    """Names of pairs, `TEAM␟USE_CASE`; the use case of calls that tell none is empty."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._held: dict[str, int] = {}

    def number(self, text: str) -> int:
        """A use case too many is counted among the team's `(other)`."""
        found = self.find(text)
        if found is not None:
            return found
        team = text.partition(SEPARATOR)[0]
        held = self._held.get(team, 0)
        if held >= _MOST:
            return super().number(f"{team}{SEPARATOR}{_REST}")
        self._held[team] = held + 1
        return super().number(text)

    def of_rows(self, teams: pa.Array, use_cases: pa.Array) -> np.ndarray:
        """int64[n] from two utf8 columns without nulls. New pairs are numbered in the order of first sight."""
        team, use_case = teams.dictionary_encode(), use_cases.dictionary_encode()
        team_texts, use_texts = team.dictionary.to_pylist(), use_case.dictionary.to_pylist()
        both = integers(team.indices).astype(np.int64) * max(1, len(use_texts)) + integers(use_case.indices)
        distinct, first, inverse = np.unique(both, return_index=True, return_inverse=True)
        numbers = np.zeros(len(distinct), dtype=np.int64)
        for at in np.argsort(first).tolist():
            t, u = divmod(int(distinct[at]), len(use_texts))
            numbers[at] = self.number(f"{team_texts[t]}{SEPARATOR}{use_texts[u]}")
        found: np.ndarray = numbers[inverse]
        return found

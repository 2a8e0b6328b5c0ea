"""In: memories, their level, and how far the day has come. Out: what the rest of the day will use.

A day is more or less busy as a whole, so what its hours so far were is carried on, the more the further it has come.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.agents.forecast.level import Level

#: Part of a mean day after which the day's own use counts as much as the level.
_HALF_TRUST: Final = 0.4


def rest_of_today(rows: np.ndarray, level: Level, gone: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """`gone` and `rest` are usual use of the day's past and coming hours; all in scales."""
    usual = (level.weight * level.ratio).sum(axis=1)
    trust = gone / (gone + _HALF_TRUST * level.mean_day)
    own = np.divide(rows["today"], gone, out=usual.copy(), where=gone > 0)
    found: np.ndarray = rest * (trust * np.minimum(own, 5 * usual + 0.5) + (1 - trust) * usual)
    return found

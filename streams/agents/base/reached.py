"""In: what a period used by quarter of an hour. Out: by when it had reached a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.control.budgets import Unit
from schemas.control.periods import MINUTE_US
from streams.agents.crossing_times import QUARTER_MINUTES
from streams.agents.totals import used


@dataclass(frozen=True, slots=True)
class Reached:
    """minutes[n] in order, sums[n, 5]; `newest_us`: the greatest event time seen."""

    unit: Unit
    minutes: np.ndarray
    sums: np.ndarray
    newest_us: int | None

    def by(self, level_units: int) -> int | None:
        """The end, µs, of the quarter that reached the level, or the newest event before it; None: none of these
        did.
        """
        at = np.flatnonzero(np.cumsum(used(self.unit, self.sums)) >= level_units)
        if not len(at):
            return None
        end_us = (int(self.minutes[at[0]]) + QUARTER_MINUTES) * MINUTE_US
        return end_us if self.newest_us is None else min(end_us, self.newest_us)

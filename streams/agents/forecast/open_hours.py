"""In: budget rows of batches. Out: what each budget used in hours of event time, until they are closed and learnt.

A row whose hour was closed when its message came is learnt with the oldest hour that was open then: nothing is lost to
the level, and the answer does not depend on how messages were batched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from streams.agents.batch import BudgetRows
from streams.agents.forecast.local_time import HOUR_US
from streams.agents.sums import SumTable, group, owners, pack, windows
from streams.agents.totals import USED_MEASURES
from streams.agents.verdicts import Timeline

HOUR_MINUTES: Final = 60
#: A row of an earlier period that comes later than this is not learnt: nobody would recognise it as of now.
_LATEST_HOURS: Final = 24
_WIDTH: Final = len(USED_MEASURES)

#: (budget's number, an hour) -> start of its period that holds the beginning of that hour, minutes; -1: none.
StartOf = Callable[[int, int], int]


class OpenHours:
    """Sums by (budget, hour); and of those, what belongs to another period than the one the hour begins in."""

    def __init__(self) -> None:
        self.all = SumTable(_WIDTH)
        self.strays = SumTable(_WIDTH)
        #: Numbers, period starts (minutes) and sums of the last batch's rows that came after their period was over.
        self.after_end = _none()

    def fold(self, rows: BudgetRows, timeline: Timeline, start_of: StartOf) -> None:
        """Add rows, each to its hour, or to the first that was open when it came."""
        self.after_end = _none()
        if not len(rows.keys):
            return
        number, start = owners(rows.keys), windows(rows.keys)
        hour = rows.minute.astype(np.int64) // HOUR_MINUTES
        opened = np.maximum(hour, _first_open(timeline)[rows.order])
        late = opened > hour
        # Where a period begins within an hour, the hour holds rows of two.
        stray = start > opened * HOUR_MINUTES
        kept = np.ones(len(hour), dtype=bool)
        for at in np.flatnonzero(late).tolist():
            stray[at] = start_of(int(number[at]), int(opened[at])) != int(start[at])
            kept[at] = not stray[at] or opened[at] - hour[at] <= _LATEST_HOURS
        ended = late & stray
        self.after_end = (number[ended], start[ended], rows.sums[ended])
        keys = pack(number, np.maximum(opened, 0))
        self.all.add(*group(keys[kept], rows.sums[kept]))
        self.strays.add(*group(keys[kept & stray], rows.sums[kept & stray]))

    def put_history(self, number: int, minutes: np.ndarray, sums: np.ndarray) -> None:
        """Add quarters of an hour from before the log."""
        keys = pack(np.full(len(minutes), number), np.maximum(minutes, 0) // HOUR_MINUTES)
        self.all.add(*group(keys, sums))

    def first(self) -> int | None:
        """The oldest hour held."""
        keys, _ = self.all.all()
        return int(windows(keys).min()) if len(keys) else None

    def of(self, hour: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and sums of one hour."""
        keys, sums = self.all.all()
        own = windows(keys) == hour
        return owners(keys[own]), sums[own]

    def from_hour(self, hour: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers, hours and sums of the given hour and later, less the strays."""
        keys, sums = self.all.all()
        own = windows(keys) >= hour
        keys, sums = keys[own], sums[own]
        return owners(keys), windows(keys), sums - self.strays.get(keys)

    def drop_before(self, hour: int) -> None:
        self.all.drop_before(hour)
        self.strays.drop_before(hour)


def _none() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, _WIDTH), np.int64)


def _first_open(timeline: Timeline) -> np.ndarray:
    """int64[entries + 1]: the oldest hour open before each entry; without a watermark every hour is."""
    before = [timeline.before, *timeline.moments]
    marks = [0 if one is None or one.watermark_us is None else one.watermark_us // HOUR_US for one in before]
    return np.array(marks, dtype=np.int64)

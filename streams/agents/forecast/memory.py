"""In: nothing. Out: what is remembered of a budget: its week by hours, its last five weeks by days, and how far earlier
forecasts were off.

All amounts are in the budget's unit divided by `scale`, so that half precision holds them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.agents.forecast.local_time import WEEK_HOURS

#: Local days held: five weeks.
DAYS: Final = 35
#: Days ahead that are told each day, to be held against what came.
AHEAD: Final = 7
#: Ways to tell the level: from the last days, weeks, all that is held, and with its growth.
WAYS: Final = 4

#: The whole memory of one budget, about half a kilobyte.
ROW: Final = np.dtype(
    [
        ("shape", np.float16, (WEEK_HOURS,)),  # usual use in each local hour of the week
        ("days", np.float16, (DAYS,)),  # use of local days, by day number modulo DAYS
        ("told", np.float16, (AHEAD, WAYS)),  # what was expected of the week after a day, by day modulo AHEAD
        ("scale", np.float64),  # one unit of what is held
        ("first", np.int32),  # first hour with use, UTC hours since the epoch; -1: none yet
        ("today", np.float32),  # use of the running local day so far
        ("tomorrow", np.float32),  # what was expected of it; below zero: nothing was
        ("part", np.float32, (2,)),  # used and expected of the rest, from about the middle of the day; -1: not yet
        ("off_part", np.float32),  # squared error of the rest of a day, over its expectation and a day's
        ("off_day", np.float32),  # the same of whole days
        ("off_week", np.float32, (WAYS,)),  # squared relative errors of whole weeks, by way
        ("weeks_told", np.float32),  # how many of them there were
        ("month_end", np.float32),  # the last three days of a month against usual ones
        ("high", np.int32),  # the hour of the last evaluation, if it found the limit likely to be exceeded
    ]
)


def fresh(count: int) -> np.ndarray:
    """Rows of budgets that nothing is known of."""
    rows = np.zeros(count, dtype=ROW)
    rows["first"] = -1
    return rows

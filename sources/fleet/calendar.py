"""In: the fleet's span of time. Out: the working days on which something goes wrong."""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.rhythm import DAY_US, HOUR_US, Int64s, weekday

#: Detectors have learned what is usual by then.
QUIET_DAYS: Final = 12
#: The last incident of a day is over by then (UTC), with time for the watermark to pass.
_OVER_BY_US: Final = 20 * HOUR_US


def incident_days(start_us: int, end_us: int, count: int) -> Int64s:
    """`count` different working days (their UTC midnights, µs, ascending), spread evenly up to the latest possible.

    ValueError when there are fewer after the quiet days.
    """
    days = np.arange(-(-(start_us + QUIET_DAYS * DAY_US) // DAY_US) * DAY_US, end_us - _OVER_BY_US, DAY_US)
    working = days[weekday(days) < 5]
    if len(working) < count:
        raise ValueError(
            f"{count} incidents need {count} working days after day {QUIET_DAYS}, the span has {len(working)}: "
            "use 26 days or more"
        )
    places = np.round(np.linspace(0, len(working) - 1, count)).astype(np.int64)
    return working[places]

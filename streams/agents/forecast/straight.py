"""In: what a period has used and how much of it is over. Out: the rest at the rate so far, with a wide interval.

The fallback under four weeks of history: it knows no weekends and no growth, so its interval has to be wide. How wide
was measured on simulated fleets; the first hours of a period tell next to nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streams.agents.forecast.model import Outlook

#: Squared coefficient of variation: of any rate, and what falls with the days that it was seen.
_ANY: Final = 0.05
_PER_DAY: Final = 0.55


def straight_on(used: np.ndarray, gone_hours: np.ndarray, left_hours: np.ndarray) -> Outlook:
    """Of the remaining use. All float64[n]; `gone_hours` above zero."""
    mean = used * left_hours / np.maximum(gone_hours, 1)
    return Outlook(mean, _ANY + _PER_DAY / np.maximum(gone_hours / 24, 1 / 24))

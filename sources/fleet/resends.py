"""In: calls in sending order. Out: those of them that are sent a second time, unchanged, a little later."""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import Calls

#: One event in a hundred.
SHARE: Final = 0.01
_LATER_US: Final = (1_000_000, 300_000_000)


def resends(calls: Calls, end_us: int, random: np.random.Generator) -> Calls:
    """The repeated events: same call number and columns, so the same bytes; only the sending is later."""
    chosen = calls.take(random.random(len(calls)) < SHARE)
    again = chosen.with_columns(sent_us=chosen.sent_us + random.integers(*_LATER_US, len(chosen)))
    return again.take(again.sent_us < end_us)

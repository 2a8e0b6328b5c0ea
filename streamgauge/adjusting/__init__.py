"""Corrections of what was counted, exactly once: what `reprice` and `reconcile --correct` share.

`writer` all messages of an adjustment in one transaction · `written` waits until ClickHouse has the ones before ·
`tallies` differences as the agents add them up.
"""

from __future__ import annotations

from streamgauge.adjusting.tallies import tallies_of
from streamgauge.adjusting.writer import Adjustment, AdjustmentWriter, Fenced
from streamgauge.adjusting.written import NotWritten, wait_until_written

__all__ = ["Adjustment", "AdjustmentWriter", "Fenced", "NotWritten", "tallies_of", "wait_until_written"]

"""In: budget rows, by quarter of an hour. Out: the quarter in which a level was reached by event time, once it is
certain.

A level fires with the message that tips the total, whatever its event time: input partitions that are read at
different speeds then date it early or late. When the watermark has passed a quarter, all that belongs before its end
is there, and the use cumulated in event-time order tells when the level was really reached. Only quarters that the
watermark has not passed are held: what lies before them is the total less what they hold.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from schemas.control.budgets import Unit
from schemas.control.periods import MINUTE_US
from streams.agents.batch import BudgetRows
from streams.agents.sums import SumTable, group, owners, pack
from streams.agents.totals import USED_MEASURES, used

QUARTER_MINUTES: Final = 15


class Passed(Protocol):
    """When event time went by: see `verdicts.Timeline`."""

    @property
    def entries(self) -> int: ...

    def passed(self, us: int) -> int: ...


class OpenQuarters:
    """What was used per budget and open quarter of an hour, as in `totals.USED_MEASURES`."""

    def __init__(self) -> None:
        self.table = SumTable(len(USED_MEASURES))

    def fold(self, rows: BudgetRows) -> None:
        self.table.add(*group(pack(owners(rows.keys), rows.minute), rows.sums))

    def prune(self, watermark_us: int | None) -> None:
        """Let go of the quarters that the watermark has passed; their use stays in the totals."""
        if watermark_us is not None:
            self.table.drop_before(max(0, watermark_us // MINUTE_US - QUARTER_MINUTES + 1))

    def reached(
        self, key: int, end_minute: int, unit: Unit, level_units: int, total: int, rows: BudgetRows, passed: Passed
    ) -> int | None:
        """The quarter (its start, in minutes) in which the budget's period `key` reached the level; None: not certain
        yet.

        `total` is what the period has used with all `rows` of this batch. Rows that came after the watermark had passed
        a quarter do not count for it, so that the answer does not depend on how messages were batched.
        """
        minutes, sums = self.table.owner_rows(key >> 32)
        mine = (minutes >= (key & 0xFFFF_FFFF)) & (minutes < end_minute)
        minutes, amounts = minutes[mine], used(unit, sums[mine])
        before = total - int(amounts.sum())
        own = rows.of(key)
        row_used, row_order, row_minute = used(unit, rows.sums[own]), rows.order[own], rows.minute[own]
        for quarter, cumulated in zip(minutes.tolist(), (before + np.cumsum(amounts)).tolist(), strict=True):
            entry = passed.passed((quarter + QUARTER_MINUTES) * MINUTE_US)
            if entry >= passed.entries:
                return None
            if cumulated - int(row_used[(row_order > entry) & (row_minute <= quarter)].sum()) >= level_units:
                return int(quarter)
        return None

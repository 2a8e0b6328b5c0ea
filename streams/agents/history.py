"""In: source offsets. Out: what was used before them, from whoever keeps events longer than Kafka keeps tallies.

The agents ask when they are rebuilt, and for budgets that were made in mid-period (`base/`). `sinks/` answers from
ClickHouse; `streamgauge/` puts the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from streams.agents.windows import Resolution

#: By input partition, the first source offset that is left out.
Before = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One budget whose past is asked for, from event minute `first_minute` on; it must be whole from `needed_minute`
    on, what lies before that only helps to forecast. `since`: control offset from which its rule holds; `selectors`: a
    column of an enriched row and the values that match.
    """

    budget_id: str
    rule: str
    selectors: Mapping[str, tuple[str, ...]]
    first_minute: int
    since: int
    needed_minute: int


@dataclass(frozen=True, slots=True)
class BaseQuestion:
    """What the budgets of one tally partition have used before the offsets `before`, with every new price whose
    adjustment stands below offset `adjusted` of `usage.adjustments`.
    """

    partition: int
    wanted: tuple[Wanted, ...]
    before: Before
    adjusted: int


class NotYet(RuntimeError):
    """The history cannot answer now. The message says what is waited for; with `renew` only a question of later
    positions can be answered.
    """

    def __init__(self, why: str, *, renew: bool = False) -> None:
        super().__init__(why)
        self.renew = renew


class BaseHistory(Protocol):
    """Sums over accepted events, each counted once."""

    def bases(self, question: BaseQuestion) -> list[pa.Table]:
        """For each wanted budget rows of `minute` (of the quarter of an hour) and USED_MEASURES (int64). Raises
        NotYet, also when the history does not answer.
        """

    def close(self) -> None:
        """Give back what was opened."""


class UsageHistory(Protocol):
    """Sums over accepted events, each counted once, with source offsets below `before`. Partitions that are not in
    `before` are left out. What was counted twice and taken back by an adjustment is counted twice here too, because
    the agents add every adjustment.
    """

    def reaches(self, partition: int) -> int:
        """Up to which source offset everything of the input partition is known."""

    def team_sums(self, resolution: Resolution, first_window: int, before: Before) -> pa.Table:
        """Rows of windows `first_window` and later: `team_id` (utf8, nullable), `window` (int64, as in
        `windows.TeamWindows`) and TEAM_MEASURES (int64).
        """

    def budget_sums(self, selectors: Mapping[str, tuple[str, ...]], first_minute: int, before: Before) -> pa.Table:
        """What matches all selectors (a column of an enriched row and the values that match), from event minute
        `first_minute` on: `minute` (of the quarter of an hour) and USED_MEASURES (int64).
        """

    def uneven(self, before: Before) -> list[tuple[int, int, int, int]]:
        """Where the history does not hold exactly what was accepted, less what corrections took back: input partition,
        first, next, and by how many events (below zero: too few). Above all resends that nobody has corrected yet: a
        correction that comes later would take away what this history has counted once.
        """

    def refused(self, before: Before) -> tuple[int, int]:
        """Accepted events that the history could not take, and their cost in nano-USD: they are in none of the sums."""

"""In: the judged stretches of one log. Out: which of their ranges do not add up, each with what the ledger says and
what stands.

Range by range from the start: a row that was moved from one range to the next leaves the sums of the partition as they
were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Sums
from sinks.reconcile.readback import Place
from sinks.reconcile.scope import LogScope


@dataclass(frozen=True, slots=True)
class Gap:
    """One range whose rows are not what the ledger says. `ledger`: its own sums, `wanted`: those less what was taken
    out of the totals as counted twice.
    """

    log: str
    place: Place
    control: int
    refused: int
    ledger: Sums
    wanted: Sums
    found: Sums

    @property
    def difference(self) -> Sums:
        """What stands too much; negative where something is short."""
        return self.found - self.wanted


def find_gaps(database: Database, scope: LogScope, hours: Sequence[int]) -> list[Gap]:
    """Of all judged ranges, in source order. `hours`: starts of the hours that hold their rows, in Unix seconds."""
    least = min(one.first for one in scope.stretches)
    return [
        Gap(
            scope.log,
            Place(row[0], row[1], row[2], row[3], None if row[4] < 0 else row[4]),
            row[5],
            row[6],
            Sums(*row[7]),
            Sums(*row[8]),
            Sums(*row[9]),
        )
        for row in ask(database, "row_ranges", hours=list(hours), least=least, **scope.places())
    ]

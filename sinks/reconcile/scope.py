"""In: how far back to look. Out: which ranges are judged: for each partition a stretch of the ledger.

The ledger is read before the rows. The sink inserts rows before their ledger row, so whatever the ledger says must
stand in the rows that are read after it, and rows behind the ledger's end are on their way: they are not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Sums

_DAY_US: Final = 86_400_000_000
#: What a DateTime64 of ClickHouse can hold: 1900 to 2299.
_EVER_US: Final = (-2_208_988_800_000_000, 10_413_791_999_000_000)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The judged ranges of one partition: source offsets [first, next), and what their ledger rows add up to.

    `expected`: of the rows that should stand. `oldest_us`, `newest_us`: event times of the accepted events; None when
    there are none. `ledger_first`: where the partition's whole ledger begins. `enriched_next`: offset on usage.enriched
    behind the last range.
    """

    partition: int
    first: int
    next: int
    ranges: int
    read: int
    unequal: int
    rejected: int
    refused: int
    expected: Sums
    oldest_us: int | None
    newest_us: int | None
    enriched_next: int
    ledger_first: int


@dataclass(frozen=True, slots=True)
class LogScope:
    """The stretches of one log. `whole`: all that is kept, so that rows are looked for at any event time."""

    log: str
    stretches: tuple[Stretch, ...]
    whole: bool

    def places(self) -> dict[str, Any]:
        """Parameters that name the stretches in SQL."""
        return {
            "log": self.log,
            "partitions": [one.partition for one in self.stretches],
            "firsts": [one.first for one in self.stretches],
            "nexts": [one.next for one in self.stretches],
        }

    def times(self) -> dict[str, int] | None:
        """Event times between which the rows stand, as SQL parameters; None when there can be none."""
        if self.whole:
            return dict(zip(("oldest", "newest"), _EVER_US, strict=True))
        oldest = [one.oldest_us for one in self.stretches if one.oldest_us is not None]
        newest = [one.newest_us for one in self.stretches if one.newest_us is not None]
        return {"oldest": min(oldest), "newest": max(newest)} if oldest and newest else None


def kept_since_us(database: Database, now_us: int, *tables: str) -> int | None:
    """Broker time since when none of the tables has dropped rows for their age; None: they keep everything."""
    days = {name: kept for name, kept in ask(database, "ttl_days") if kept and name in tables}
    # A day of room: rows leave by the time at which they were received, whenever ClickHouse gets to it.
    return now_us - (min(days.values()) - 1) * _DAY_US if days else None


def scopes(database: Database, since_us: int | None) -> list[LogScope]:
    """What is judged: ranges from the first one appended at or after `since_us` on; None: all ranges.

    `since_us` counts broker time in µs. A stretch has no gaps even where broker times do not rise.
    """
    starts: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for log, partition, first, ledger_first, _ in ask(
        database, "starts", since=since_us or 0, all=int(since_us is None)
    ):
        starts[log].append((partition, first, ledger_first))
    return [LogScope(log, tuple(_stretches(database, log, found)), since_us is None) for log, found in starts.items()]


def _stretches(database: Database, log: str, starts: Sequence[tuple[int, int, int]]) -> list[Stretch]:
    rows = ask(
        database,
        "stretches",
        log=log,
        partitions=[partition for partition, _, _ in starts],
        firsts=[first for _, first, _ in starts],
        least=min(first for _, first, _ in starts),
    )
    ledger_firsts = {partition: ledger_first for partition, _, ledger_first in starts}
    return [_stretch(row, ledger_firsts[row[0]]) for row in rows]


def _stretch(row: tuple[Any, ...], ledger_first: int) -> Stretch:
    partition, first, after, ranges, read, unequal, rejected, refused = row[:8]
    sums, (oldest_us, newest_us, enriched_next) = Sums(*row[8:13]), row[13:16]
    return Stretch(
        partition=partition,
        first=first,
        next=after,
        ranges=ranges,
        read=read,
        unequal=unequal,
        rejected=rejected,
        refused=refused,
        expected=sums,
        oldest_us=oldest_us,
        newest_us=newest_us,
        enriched_next=enriched_next,
        ledger_first=ledger_first,
    )

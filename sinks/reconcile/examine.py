"""In: a range that does not add up. Out: which of its events are missing, sent again, changed, or do not belong.

What should stand is read back from `usage.enriched`; where retention took it, from the deliveries that ClickHouse has
not merged away yet, and then a missing row cannot be told from one that never was: it stays *unexplained*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sinks.database import Database
from sinks.events.ranges import RangeBlock
from sinks.reconcile.asking import ask, ask_columns
from sinks.reconcile.findings import Position
from sinks.reconcile.gaps import Gap
from sinks.reconcile.keyed import Key, Standing, differing, readable, standing
from sinks.reconcile.readback import Place, ReadBack

#: Event ids asked for at once: they travel in the address of a request.
_IDS = 500


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about one range. `missing` and `resent` are rows as enrich wrote them, `changed` and `surplus`
    source positions. `unexplained`: events by which the range is still off. `ledger_differs`: its ledger row is not
    what enrich wrote.
    """

    gap: Gap
    block: RangeBlock | None
    missing: pa.Table
    resent: pa.Table
    changed: tuple[Position, ...]
    surplus: tuple[Position, ...]
    unexplained: int
    ledger_differs: bool


@dataclass(slots=True)
class Examiner:
    """Looks into ranges. `log`: the log that usage.enriched belongs to; of others nothing can be read back."""

    database: Database
    read_back: ReadBack
    log: str
    #: Ranges met while asking whether a position was ever read: (log, partition) -> place and its block.
    _known: dict[tuple[str, int], list[tuple[Place, frozenset[Standing] | None]]] = field(default_factory=dict)

    def examine(self, gap: Gap, hours: Sequence[int]) -> Examined:
        """`hours`: starts of the hours that hold the judged rows, in Unix seconds."""
        place = gap.place
        where = {"log": gap.log, "partition": place.partition, "first": place.first, "next": place.next}
        block = self.read_back.block(place) if gap.log == self.log else None
        whole = None if block is None else block.table()
        asked = sorted({*hours, *(key.key.hour for key in standing(whole))}) if whole is not None else list(hours)
        kept = readable(ask_columns(self.database, "events_at", hours=asked, **where))
        if whole is None:
            whole = readable(ask_columns(self.database, "deliveries_at", hours=asked, **where))
        at = standing(kept)
        gone = {(one, two) for one, two in ask(self.database, "adjusted_at", **where)}
        if gap.refused:
            gone |= {(one, two) for one, two in ask(self.database, "refused_at", **where)}
        wanted = {one: row for one, row in standing(whole).items() if (one.offset, one.index) not in gone}

        absent = [one for one in wanted if one not in at]
        missing, resent, displacing = self._sort(absent)
        foreign: list[Position] = []
        changed: list[Position] = []
        if block is not None:
            known = standing(whole)
            foreign = [Position(gap.log, place.partition, one.offset, one.index) for one in at if one not in known]
            both = [one for one in wanted if one in at]
            rows = differing(
                readable(whole).take(pa.array([wanted[one] for one in both], pa.int64())),
                kept.take(pa.array([at[one] for one in both], pa.int64())),
            )
            changed = [Position(gap.log, place.partition, both[row].offset, both[row].index) for row in rows]
        surplus = sorted({*foreign, *displacing})
        left = gap.difference.rows + len(absent) - len(foreign)
        if block is None:
            # Of rows that no delivery is left of, nothing is known.
            left = abs(left) + len(missing)
            missing = []
        differs = block is not None and _differs(gap, block)
        if not left and gap.difference and not (absent or surplus or changed or differs):
            left = 1
        return Examined(
            gap,
            block,
            whole.take(pa.array([wanted[one] for one in missing], pa.int64())),
            whole.take(pa.array([wanted[one] for one in resent], pa.int64())),
            tuple(changed),
            tuple(surplus),
            0 if differs else abs(left),
            differs,
        )

    def _sort(self, absent: Sequence[Standing]) -> tuple[list[Standing], list[Standing], set[Position]]:
        """Of the absent: those whose event stands nowhere, those whose event was counted elsewhere first; and positions
        of rows that no message made, which stand in an absent one's place.
        """
        winners = self._winners({one.key for one in absent})
        missing, resent, displacing = [], [], set[Position]()
        for one in absent:
            winner = winners.get(one.key)
            if winner is None:
                missing.append(one)
            elif self._was_read(winner, one.key):
                resent.append(one)
            else:
                displacing.add(winner)
        return missing, resent, displacing

    def _winners(self, keys: Iterable[Key]) -> dict[Key, Position]:
        wanted = set(keys)
        ids = sorted({key.event_id for key in wanted})
        hours = sorted({key.hour for key in wanted})
        found: dict[Key, Position] = {}
        for start in range(0, len(ids), _IDS):
            for row in ask(self.database, "winners", hours=hours, ids=ids[start : start + _IDS]):
                key = Key(*row[:4])
                if key in wanted:
                    found[key] = Position(*row[4:])
        return found

    def _was_read(self, position: Position, key: Key) -> bool:
        """Whether enrich accepted this event at this position: by what it wrote; where that is gone, by the ledger."""
        ranges = self._known.setdefault((position.log, position.partition), [])
        for place, events in ranges:
            if place.first <= position.offset < place.next:
                return events is None or Standing(position.offset, position.index, key) in events
        rows = ask(self.database, "range_at", log=position.log, partition=position.partition, offset=position.offset)
        if not rows:
            # Before all that the ledger still has: rows outlive their ledger rows by a merge or two.
            return True
        first, after, last = rows[0]
        if position.offset >= after:
            return False
        place = Place(position.partition, first, after, last, rows[1][2] + 1 if len(rows) > 1 else None)
        block = self.read_back.block(place) if position.log == self.log else None
        ranges.append((place, None if block is None else frozenset(standing(block.table()))))
        return self._was_read(position, key)


def _differs(gap: Gap, block: RangeBlock) -> bool:
    """Whether the ledger row of a range without corrections says other sums than enrich did."""
    ledger = block.ledger
    if gap.refused:
        return False
    said = (ledger.enriched, ledger.input_tokens, ledger.output_tokens, ledger.cost_nanousd, ledger.unpriced)
    return gap.ledger.values() != said

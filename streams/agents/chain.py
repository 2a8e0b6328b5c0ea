"""In: tally messages in the order of their log. Out: each source range once: apply, skip, or a hole to be read back.

Two positions guard this. `next_offset` is the next message of the tally partition; `applied[p]` is the next offset of
input partition p, which also recognises a range that enrich has sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from schemas.positions import SourceRange
from streams.agents.tally_message import TallyMessage


@dataclass(frozen=True, slots=True)
class Hole:
    """Something between what was applied and this message is missing.

    `log`: tally messages [expected, found) were not offered; read them back. `input`: the log itself has no message for
    offsets [expected, found) of input partition `partition`.
    """

    where: Literal["log", "input"]
    partition: int
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A whole range to apply: its parts' tables in order. `lost` is the hole accepted before it, if any."""

    range: SourceRange
    tables: tuple[pa.Table, ...]
    first_ever: bool
    lost: Hole | None


@dataclass(slots=True)
class _Parts:
    range: SourceRange
    offset: int
    tables: list[pa.Table | None]


class Chain:
    """Positions of one shard."""

    def __init__(self, next_offset: int) -> None:
        self.next_offset = next_offset
        self.applied: dict[int, int] = {}
        self._parts: dict[int, _Parts] = {}

    @property
    def resume_offset(self) -> int:
        """Where reading must resume after a crash: parts of an unfinished range have to be seen again."""
        return min([self.next_offset, *(parts.offset for parts in self._parts.values())])

    def offer(self, message: TallyMessage, *, accept_hole: bool) -> Ready | Literal["held", "skipped"] | Hole:
        """Judge one message. With `accept_hole` a gap is stepped over and named in `Ready.lost`."""
        if message.offset < self.next_offset:
            return "skipped"
        if message.offset > self.next_offset and not accept_hole:
            return Hole("log", message.range.partition, self.next_offset, message.offset)
        source = message.range
        applied = self.applied.get(source.partition)
        lost: Hole | None = None
        if applied is not None and source.first != applied:
            if source.first < applied and source.next <= applied:
                self.next_offset = message.offset + 1
                return "skipped"
            # Either a gap, or a range cut differently from the one applied: rows cannot be told apart, so none is
            # added.
            lost = Hole("input", source.partition, applied, source.first)
            if not accept_hole:
                return lost
        self.next_offset = message.offset + 1
        tables = self._complete(message)
        if tables is None:
            return "held"
        self.applied[source.partition] = source.next
        if lost is not None and lost.found < lost.expected:
            tables = ()
        return Ready(source, tables, applied is None, lost)

    def _complete(self, message: TallyMessage) -> tuple[pa.Table, ...] | None:
        """The tables of the range once its last part is here; a repeated part 0 starts it afresh."""
        source = message.range
        if source.parts == 1:
            self._parts.pop(source.partition, None)
            return () if message.table is None else (message.table,)
        held = self._parts.get(source.partition)
        if (
            held is None
            or source.part == 0
            or (held.range.first, held.range.next, held.range.parts)
            != (
                source.first,
                source.next,
                source.parts,
            )
        ):
            held = _Parts(source, message.offset, [None] * source.parts)
            self._parts[source.partition] = held
        held.tables[source.part] = message.table
        tables = tuple(table for table in held.tables if table is not None)
        if len(tables) < source.parts:
            return None
        del self._parts[source.partition]
        return tables

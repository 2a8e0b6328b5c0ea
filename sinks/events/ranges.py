"""In: messages of one partition of `usage.enriched`. Out: whole source ranges, put together from their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from schemas.arrow_ipc import UnreadableBlock, from_ipc
from schemas.enriched import ENRICHED
from schemas.positions import GivenHeaders, LedgerRow, SourceRange, read_ledger, read_range, read_version
from sinks.errors import SinkError

#: What to do about a message that is not enrich's.
FOREIGN: Final = "Nothing but `streamgauge enrich` may write there; where enrich is newer, upgrade the sink first"


@dataclass(frozen=True, slots=True)
class RangeBlock:
    """One source range: its ledger row, the Arrow streams of its parts, and the offsets of its messages on
    usage.enriched.
    """

    source: SourceRange
    ledger: LedgerRow
    values: tuple[bytes, ...]
    first_offset: int
    last_offset: int

    @property
    def rows(self) -> int:
        return self.ledger.enriched

    def table(self) -> pa.Table:
        """The accepted events in the columns of ENRICHED. SinkError when they are not as many as the ledger row
        says.
        """
        try:
            tables = [from_ipc(value, ENRICHED) for value in self.values if value]
        except UnreadableBlock as error:
            raise SinkError(
                f"usage.enriched partition {self.source.partition}, offsets {self.first_offset} to {self.last_offset}: "
                f"{error}. {FOREIGN}"
            ) from error
        table = pa.concat_tables(tables) if tables else ENRICHED.empty_table()
        if table.num_rows != self.rows:
            raise SinkError(
                f"usage.enriched partition {self.source.partition}, offsets {self.first_offset} to {self.last_offset}: "
                f"the ledger row of source range [{self.source.first}, {self.source.next}) says {self.rows} events, "
                f"the blocks hold {table.num_rows}: they were not written by one run of enrich"
            )
        return table


class Assembler:
    """Puts the parts of one partition together. Parts of a range are consecutive messages, unless a crash cut them
    short.
    """

    def __init__(self) -> None:
        self._source: SourceRange | None = None
        self._ledger: LedgerRow | None = None
        self._values: list[bytes] = []
        self._first_offset = 0

    def feed(self, offset: int, headers: GivenHeaders, value: bytes | None) -> RangeBlock | None:
        """Take one message; the range that it completes, if it does. PositionError for headers that enrich never
        writes.
        """
        read_version(headers)
        part = read_range(headers)
        if part.part == 0:
            # A part 0 in the midst of another range: that copy was cut short by a crash, and enrich repeats it whole.
            self._source, self._ledger, self._values = part, read_ledger(headers), []
            self._first_offset = offset
        elif self._source is None or part != _part(self._source, len(self._values)):
            # The rest of a range whose beginning was not read: it is met again where the chain is read back.
            self._source = None
            return None
        self._values.append(value or b"")
        if part.part < part.parts - 1:
            return None
        assert self._ledger is not None
        block = RangeBlock(_part(part, 0), self._ledger, tuple(self._values), self._first_offset, offset)
        self._source, self._values = None, []
        return block

    def reset(self) -> None:
        """Forget a range in progress: reading goes on elsewhere."""
        self._source, self._values = None, []


def _part(source: SourceRange, part: int) -> SourceRange:
    return SourceRange(source.partition, source.first, source.next, part, source.parts)

"""In: offset, headers and bytes of one message of `usage.tallies`. Out: the typed message, its rows as an Arrow
table.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.arrow_ipc import from_ipc
from schemas.positions import Headers, Mark, PositionError, SourceRange, read_mark, read_range, read_version
from schemas.tallies import TALLIES


@dataclass(frozen=True, slots=True)
class TallyMessage:
    """One message: where it stands in its log, which source range it sums, the input's mark, and the rows, if any."""

    offset: int
    range: SourceRange
    mark: Mark
    table: pa.Table | None


def read_tally(offset: int, headers: Headers | None, value: bytes | None) -> TallyMessage:
    """PositionError when headers or columns are not those of a tally."""
    read_version(headers)
    source, mark = read_range(headers), read_mark(headers)
    if not value:
        # A part of a longer range always has rows; a single empty one has none.
        return TallyMessage(offset, source, mark, TALLIES.empty_table() if source.parts > 1 else None)
    table = from_ipc(value, TALLIES)
    if table.schema.names[: len(TALLIES)] != TALLIES.names:
        raise PositionError(f"tally at offset {offset} has columns {table.schema.names}, expected {TALLIES.names}")
    return TallyMessage(offset, source, mark, table.select(TALLIES.names))

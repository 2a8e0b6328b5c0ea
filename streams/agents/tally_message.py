"""In: offset, headers and bytes of one message of `usage.tallies`. Out: the typed message, its rows as an Arrow
table.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.arrow_ipc import UnreadableBlock, from_ipc
from schemas.positions import Headers, Mark, PositionError, SourceRange, read_mark, read_range, read_version
from schemas.tallies import TALLIES


class UnreadableTally(RuntimeError):
    """A message of `usage.tallies` that enrich did not write, or that was damaged. Nothing may be passed over."""


@dataclass(frozen=True, slots=True)
class TallyMessage:
    """One message: where it stands in its log, which source range it sums, the input's mark, and the rows, if any."""

    offset: int
    range: SourceRange
    mark: Mark
    table: pa.Table | None


def read_tally(offset: int, headers: Headers | None, value: bytes | None, partition: int | None = None) -> TallyMessage:
    """Version 1 has no source rows: its messages lack two columns, which are null here. Raises UnreadableTally."""
    try:
        read_version(headers)
        source, mark = read_range(headers), read_mark(headers)
        # A part of a longer range always has rows; a single empty one has none.
        if not value and source.parts == 1:
            return TallyMessage(offset, source, mark, None)
        return TallyMessage(offset, source, mark, from_ipc(value, TALLIES))
    except (PositionError, UnreadableBlock) as error:
        where = "" if partition is None else f" partition {partition},"
        raise UnreadableTally(
            f"usage.tallies,{where} offset {offset}: {error}. Nothing but `streamgauge enrich` may write there: a "
            "message that it did not write can be removed with Kafka's own tools, then run `streamgauge rebuild --all`"
        ) from error

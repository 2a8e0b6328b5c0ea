"""In: nothing. Out: what every trace reader yields: a stretch of the trace, in file order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from schemas.usage import TOKEN_COLUMNS, USAGE_COLUMNS

Int64s = npt.NDArray[np.int64]

#: Rows read at once: large enough for columns, small enough for a moving progress bar.
CHUNK_ROWS: Final = 10_000
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Calls:
    """What a trace knows of consecutive calls. `row` counts from 0 over the file; times are µs; `None`: not in this
    format.
    """

    row: int
    occurred_at_us: Int64s
    input_tokens: Int64s
    output_tokens: Int64s
    cache_read_tokens: Int64s | None = None
    prefix_hash: list[str | None] | None = None


class TraceReader(Protocol):
    """Reads one format. Raises TraceError naming file and line for what it cannot read."""

    def __call__(self, path: Path) -> Iterator[Calls]: ...


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file's size in lines and the hash of its content (which makes event ids)."""

    lines: int
    digest: str


def measure(path: Path) -> TraceFile:
    """Read the file once. OSError when it cannot be read."""
    digest, lines, last = xxhash.xxh3_128(), 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return TraceFile(lines + (last != b"\n"), digest.hexdigest())


def usage_table(columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """USAGE_COLUMNS from the columns given; the others hold the schema's defaults."""
    return pa.Table.from_arrays(
        [columns[field.name] if field.name in columns else _default(field, rows) for field in USAGE_COLUMNS],
        schema=USAGE_COLUMNS,
    )


def _default(field: pa.Field, rows: int) -> pa.Array:
    if field.nullable:
        return pa.nulls(rows, field.type)
    if pa.types.is_map(field.type):
        empty = pa.array([], field.type)
        return pa.MapArray.from_arrays(pa.array(np.zeros(rows + 1, np.int32)), empty.keys, empty.items)
    value = {"gateway_cache_hit": False, "status": "ok", "attempt": 1, **dict.fromkeys(TOKEN_COLUMNS, 0)}[field.name]
    return pa.repeat(pa.scalar(value, field.type), rows)

"""In: an Arrow table or batch. Out: Arrow IPC streams, each small enough for one Kafka message; and back."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

#: No produced value above this: brokers refuse messages above 1 MB by default, and headers and framing come on top.
MAX_VALUE_BYTES: Final = 900_000
#: Below this, compression costs more time and header bytes than it saves.
_COMPRESS_ROWS: Final = 256
#: A message's buffers are small: handing them to a thread pool costs more than compressing them.
_PLAIN: Final = pa.ipc.IpcWriteOptions(use_threads=False)
_COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)


class UnreadableBlock(ValueError):
    """The bytes are no Arrow stream of the columns wanted. Who read the message adds topic, partition and offset."""


def to_ipc(table: pa.Table | pa.RecordBatch) -> bytes:
    """The table as one IPC stream; buffers are lz4-compressed where it pays."""
    options = _COMPRESSED if table.num_rows >= _COMPRESS_ROWS else _PLAIN
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def to_parts(table: pa.Table | pa.RecordBatch, max_bytes: int = MAX_VALUE_BYTES) -> list[bytes]:
    """The table cut into IPC streams of at most `max_bytes`; one empty value for a table without rows.

    Raises ValueError for a single row that is larger than that (its texts are bounded, so this would be a bug).
    """
    if table.num_rows == 0:
        return [b""]
    whole = to_ipc(table)
    if len(whole) <= max_bytes:
        return [whole]
    if table.num_rows == 1:
        raise ValueError(f"one row has {len(whole)} bytes, more than the {max_bytes} of a message")
    pieces = min(table.num_rows, len(whole) // (max_bytes * 4 // 5) + 1)
    step = -(-table.num_rows // pieces)
    return [part for start in range(0, table.num_rows, step) for part in to_parts(table.slice(start, step), max_bytes)]


def from_ipc(value: bytes | None, schema: pa.Schema) -> pa.Table:
    """Read one value back in the columns of `schema`; an empty or missing value is a table without rows.

    A newer writer's further columns are left, an older one's missing ones are null. Raises UnreadableBlock for bytes
    that are no Arrow stream, hold values outside their buffers, or lack a column that may not be null.
    """
    if not value:
        return schema.empty_table()
    try:
        table = pa.ipc.open_stream(value).read_all()
        # Offsets that point outside of their buffers would end the process at the first look, without a word.
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError, LookupError, TypeError, MemoryError) as error:
        raise UnreadableBlock(f"{len(value)} bytes are no Arrow stream: {_first_line(error)}") from error
    return conform(table, schema)


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` in the columns of `schema`, of whichever version it was written by. Raises UnreadableBlock."""
    if table.schema.equals(schema) and not any(
        column.null_count for field, column in zip(schema, table.columns, strict=True) if not field.nullable
    ):
        # Written by this version, as nearly all is: looking at column after column costs more than reading them.
        return table
    columns: list[pa.ChunkedArray | pa.Array] = []
    for field in schema:
        places = table.schema.get_all_field_indices(field.name)
        if len(places) > 1:
            raise UnreadableBlock(f"column {field.name} stands {len(places)} times in the block")
        if not places and not field.nullable:
            raise UnreadableBlock(f"column {field.name} is missing in the block, and no version leaves it out")
        column = table.column(places[0]) if places else pa.nulls(table.num_rows, field.type)
        if column.type != field.type:
            raise UnreadableBlock(f"column {field.name} is {column.type} in the block, {field.type} is wanted")
        if not field.nullable and column.null_count:
            raise UnreadableBlock(f"column {field.name} is null in {column.null_count} rows of the block")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]

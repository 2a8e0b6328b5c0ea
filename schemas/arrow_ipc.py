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
    """Read one value back; an empty or missing value is a table without rows. ArrowInvalid for bytes that are none."""
    if not value:
        return schema.empty_table()
    return pa.ipc.open_stream(value).read_all()

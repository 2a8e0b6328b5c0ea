"""In: one decoded event. Out: the same event as plain JSON: a framing of its own, to be mended and sent again."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa


def as_json(event: pa.Table) -> bytes:
    """The one row of `event`, without nulls and empty maps. Bytes that are not UTF-8 text become U+FFFD."""
    row = {
        name: _value(column.combine_chunks()) for name, column in zip(event.column_names, event.columns, strict=True)
    }
    present = {name: value for name, value in row.items() if value is not None and value != {}}
    return json.dumps(present, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _value(column: pa.Array) -> Any:
    if pa.types.is_map(column.type):
        entries = column[0].values
        return dict(zip(_plain(entries.field(0)), _plain(entries.field(1)), strict=True))
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())[0].as_py()
    return _plain(column)[0]


def _plain(values: pa.Array) -> list[Any]:
    if not pa.types.is_string(values.type):
        return list(values.to_pylist())
    texts = values.cast(pa.binary()).to_pylist()
    return [None if text is None else text.decode("utf-8", "replace") for text in texts]

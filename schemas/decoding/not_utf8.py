"""In: a column whose text was taken as it came. Out: the rows that hold bytes which are not UTF-8."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def rows_not_utf8(column: pa.ChunkedArray) -> list[int]:
    """Rows of a text or map column, ascending; none for any other column."""
    rows: set[int] = set()
    at = 0
    for chunk in column.chunks:
        if pa.types.is_string(chunk.type):
            rows.update(at + place for place in _texts_not_utf8(chunk))
        elif pa.types.is_map(chunk.type):
            offsets = np.asarray(chunk.offsets)
            first, last = int(offsets[0]), int(offsets[-1])
            for texts in (chunk.keys, chunk.items):
                if pa.types.is_string(texts.type):
                    places = np.asarray(_texts_not_utf8(texts.slice(first, last - first)), np.int64) + first
                    rows.update((at + np.searchsorted(offsets, places, "right") - 1).tolist())
        at += len(chunk)
    return sorted(rows)


def _texts_not_utf8(texts: pa.StringArray) -> list[int]:
    """Only texts with a byte above 127 are looked at one by one: most have none."""
    _, offset_buffer, data = texts.buffers()
    if data is None or not len(texts):
        return []
    offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    raw = memoryview(data)
    high = np.flatnonzero(np.frombuffer(raw[first:last], np.uint8) > 127) + first
    suspects = np.unique(np.searchsorted(offsets, high, "right") - 1)
    return [place for place in suspects.tolist() if not _is_utf8(raw[offsets[place] : offsets[place + 1]])]


def _is_utf8(text: memoryview) -> bool:
    try:
        str(text, "utf-8")
    except UnicodeDecodeError:
        return False
    return True

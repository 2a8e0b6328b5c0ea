"""In: Avro datums of one writer schema. Out: one Arrow batch of those that decode, and which datums those were.

A native decoder takes all datums in one call. It refuses the whole call for one bad datum, so a refused call is cut
into chunks, and only the chunks that are refused again are read datum by datum with fastavro to find the bad ones.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import fastavro
import pyarrow as pa
import pyruhvro

#: With 1% bad datums half of the chunks of this size are clean, and a call's fixed cost is still spread.
CHUNK = 64

#: What fastavro raises for bytes that are no datum of the schema.
_NO_DATUM = (ValueError, EOFError, LookupError, TypeError, StopIteration, OverflowError, MemoryError, struct.error)


@dataclass(frozen=True, slots=True)
class AvroColumns:
    """`batch` holds the datums named by `kept`, in order; `bad` maps the others to what was wrong with them."""

    batch: pa.RecordBatch
    kept: list[int]
    bad: dict[int, str]


def decode_datums(datums: list[bytes], schema_text: str, parsed: Any) -> AvroColumns:
    """Decode `datums`, all written by the schema given as JSON text and as fastavro's parsed form.

    Trailing bytes behind a datum are not seen. UTF-8 is not checked here. Raises ValueError only when the native
    decoder and fastavro disagree about every datum, which would be a bug of theirs.
    """
    whole = _native(datums, schema_text)
    if whole is not None:
        return AvroColumns(whole, list(range(len(datums))), {})
    bad: dict[int, str] = {}
    for start in range(0, len(datums), CHUNK):
        chunk = datums[start : start + CHUNK]
        if _native(chunk, schema_text) is None:
            for place, datum in enumerate(chunk, start):
                if (reason := _complaint(datum, parsed)) is not None:
                    bad[place] = reason
    kept = [place for place in range(len(datums)) if place not in bad]
    batch = _native([datums[place] for place in kept], schema_text)
    if batch is not None:
        return AvroColumns(batch, kept, bad)
    # fastavro let something pass that the native decoder refuses: ask the native one about each that is left.
    for place in list(kept):
        if _native([datums[place]], schema_text) is None:
            bad[place] = "its bytes do not follow the schema"
    kept = [place for place in kept if place not in bad]
    batch = _native([datums[place] for place in kept], schema_text)
    if batch is None:
        raise ValueError("the native Avro decoder refuses datums together that it accepts one by one")
    return AvroColumns(batch, kept, bad)


def supports(schema_text: str) -> bool:
    """Whether the native decoder knows every type of a foreign writer schema. It panics on those that it does not."""
    try:
        pyruhvro.avro_to_arrow_schema(schema_text)
        pyruhvro.deserialize_array([], schema_text)
    except ValueError:
        return False
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        return False
    return True


def _native(datums: list[bytes], schema_text: str) -> pa.RecordBatch | None:
    try:
        return pyruhvro.deserialize_array(datums, schema_text)
    except ValueError:
        return None
    except BaseException as panic:
        # A Rust panic is no Exception, so that nobody swallows it by accident; here it means one bad datum.
        if type(panic).__name__ != "PanicException":
            raise
        return None


def _complaint(datum: bytes, parsed: Any) -> str | None:
    """What fastavro says against one datum; None when it can read it."""
    try:
        fastavro.schemaless_reader(io.BytesIO(datum), parsed, None)
    except _NO_DATUM as error:
        detail = str(error) or "it ends before its last field"
        return detail.splitlines()[0][:200]
    return None

"""In: Avro datums of one writer schema. Out: one Arrow batch of those that decode, and which datums those were.

A native decoder takes all datums in one call, and refuses the whole call for one bad datum. Which ones are bad is then
found in one of two ways, neither of which costs more than a few calls, and the rest is decoded in one call:

- single events have a flat schema: all of them are walked at once, field by field (`walk`);
- batches, and events of a foreign schema that is not flat, are cut into halves until the bad ones stand alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyruhvro

from schemas.decoding.walk import Field, plan, walk

#: Bytes that are decoded together where it is known that some of them are bad: a call costs as much as 30,000 bytes.
_PIECE_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Writer:
    """A writer schema: as JSON text, and as the fields that can be walked (None: it is not flat)."""

    text: str
    fields: tuple[Field, ...] | None

    @classmethod
    def of(cls, text: str) -> Writer:
        return cls(text, plan(json.loads(text)))


@dataclass(frozen=True, slots=True)
class AvroColumns:
    """`batch` holds the datums named by `kept`, in order; `bad` maps the others to what was wrong with them."""

    batch: pa.RecordBatch
    kept: list[int]
    bad: dict[int, str]


def decode_datums(datums: list[bytes], writer: Writer) -> AvroColumns:
    """Decode `datums`, all written by `writer`. Nothing in them raises.

    Trailing bytes behind a datum are not seen. UTF-8 is not checked here.
    """
    whole = _native(datums, writer.text)
    if not isinstance(whole, str):
        return AvroColumns(whole, list(range(len(datums))), {})
    if writer.fields is None:
        return _halve(datums, list(range(len(datums))), writer.text, {})
    walked = walk(datums, writer.fields)
    bad = walked.bad
    if walked.unsettled:
        bad |= _halve(datums, walked.unsettled, writer.text, {}).bad
    kept = [place for place in range(len(datums)) if place not in bad]
    batch = _native([datums[place] for place in kept], writer.text)
    if not isinstance(batch, str):
        return AvroColumns(batch, kept, bad)
    # The walk let something pass that the native decoder refuses: the native one decides.
    return _halve(datums, kept, writer.text, bad)


def supports(text: str) -> bool:
    """Whether the native decoder knows every type of a foreign writer schema. It panics on some that it does not, and
    an array of nothing would let ten bytes stand for more entries than there is memory.
    """
    if not _takes_bytes(json.loads(text)):
        return False
    try:
        pyruhvro.avro_to_arrow_schema(text)
    except ValueError:
        return False
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        return False
    return not isinstance(_native([], text), str)


#: Types by name whose every value takes a byte. What a schema names itself may be a record of nothing.
_TAKE_BYTES: Final = ("string", "bytes", "int", "long", "boolean", "float", "double")


def _native(datums: list[bytes], text: str) -> pa.RecordBatch | str:
    """The datums as columns, or the native decoder's complaint about the first bad one."""
    try:
        return pyruhvro.deserialize_array(datums, text)
    except ValueError as error:
        return str(error).splitlines()[0][:200] if str(error) else "its bytes do not follow the schema"
    except BaseException as panic:
        # A Rust panic is no Exception, so that nobody swallows it by accident; here it means one bad datum.
        if type(panic).__name__ != "PanicException":
            raise
        return "its bytes do not follow the schema"


def _halve(datums: list[bytes], places: list[int], text: str, bad: dict[int, str]) -> AvroColumns:
    """Decode the datums at `places` in pieces; a refused piece is halved until the bad ones stand alone."""
    bad = dict(bad)
    kept: list[int] = []
    batches: list[pa.RecordBatch] = []
    left = _pieces(datums, places)
    while left:
        piece = left.pop()
        decoded = _native([datums[place] for place in piece], text)
        if not isinstance(decoded, str):
            batches.append(decoded)
            kept.extend(piece)
        elif len(piece) == 1:
            bad[piece[0]] = decoded
        else:
            half = len(piece) // 2
            left += [piece[half:], piece[:half]]
    if not batches:
        nothing = _native([], text)
        assert not isinstance(nothing, str), "the schema was tried before it was taken"
        return AvroColumns(nothing, [], bad)
    return AvroColumns(pa.concat_batches(batches), kept, bad)


def _pieces(datums: list[bytes], places: list[int]) -> list[list[int]]:
    """The places in runs of about _PIECE_BYTES, the last run first."""
    pieces: list[list[int]] = [[]]
    size = 0
    for place in places:
        if size >= _PIECE_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(place)
        size += len(datums[place])
    return pieces[::-1] if pieces[-1] else []


def _takes_bytes(schema: Any, within: bool = False) -> bool:
    """Whether every array entry of the schema takes at least a byte. `within`: whether `schema` itself must."""
    if isinstance(schema, list):
        # The number of the branch is a byte.
        return all(_takes_bytes(branch) for branch in schema)
    if not isinstance(schema, dict):
        return not within or schema in _TAKE_BYTES
    kind = schema.get("type")
    if kind == "record":
        fields = [field.get("type") for field in schema.get("fields", [])]
        whole = all(_takes_bytes(field) for field in fields)
        return whole and (not within or any(_takes_bytes(field, True) for field in fields))
    if kind == "array":
        return _takes_bytes(schema.get("items"), True)
    if kind == "map":
        return _takes_bytes(schema.get("values"))
    if kind == "fixed":
        return not (within and not schema.get("size"))
    return kind == "enum" or _takes_bytes(kind, within)

"""In: blocks in ClickHouse's Native format as chdb writes them. Out: the same blocks as a newer client asks for them.

A client that names its protocol version in the address expects information about each block in front of it, and from
version 54454 on one byte behind each column's type. chdb cannot be told the version, so the bytes are put in here. For
that the columns are walked; what a column holds is not looked at.
"""

from __future__ import annotations

import re
from typing import Final

WITH_BLOCK_INFO: Final = 51_903
WITH_CUSTOM_SERIALIZATION: Final = 54_454
#: No overflow row, no bucket: field 1 (a byte), field 2 (an int32 of -1), end.
_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"

#: In front of a column stands one version number for every dictionary within its type.
_DICTIONARY_VERSION: Final = 8

_WIDTHS: Final = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    **dict.fromkeys(("Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("BFloat16", "Date", "Enum16"), 2),
    **dict.fromkeys(("Float32", "Date32", "DateTime", "Time", "IPv4", "Decimal32"), 4),
    **dict.fromkeys(("Float64", "DateTime64", "Time64", "Decimal64"), 8),
    **dict.fromkeys(("UUID", "IPv6", "Decimal128"), 16),
    "Decimal256": 32,
}
_TYPE: Final = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)


class UnsupportedTypeError(ValueError):
    """A column whose bytes cannot be walked here; the message says what to do."""


def for_protocol(blocks: bytes, version: int) -> bytes:
    """The blocks as a client of protocol `version` expects them."""
    if version < WITH_BLOCK_INFO:
        return blocks
    out = bytearray()
    position = 0
    while position < len(blocks):
        out += _BLOCK_INFO
        start = position
        columns, position = _varint(blocks, position)
        rows, position = _varint(blocks, position)
        out += blocks[start:position]
        for _ in range(columns):
            start = position
            position = _skip_string(blocks, position)
            type_at = position
            position = _skip_string(blocks, position)
            _, text_at = _varint(blocks, type_at)
            out += blocks[start:position]
            if version >= WITH_CUSTOM_SERIALIZATION:
                out.append(0)
            start = position
            if rows:
                kind = blocks[text_at:position].decode()
                position = _skip(blocks, position + _DICTIONARY_VERSION * kind.count("LowCardinality("), kind, rows)
            out += blocks[start:position]
    return bytes(out)


def _skip(data: bytes, position: int, kind: str, rows: int) -> int:
    """Where a column of `rows` values ends that begins at `position`."""
    match = _TYPE.fullmatch(kind)
    name, inner = (match[1], match[2] or "") if match else (kind, "")
    if name in _WIDTHS:
        return position + rows * _WIDTHS[name]
    if name == "String":
        for _ in range(rows):
            position = _skip_string(data, position)
        return position
    if name == "FixedString":
        return position + rows * int(inner)
    if name == "Decimal":
        return position + rows * _decimal_width(int(inner.split(",")[0]))
    return _skip_nested(data, position, name, inner, rows)


def _skip_nested(data: bytes, position: int, name: str, inner: str, rows: int) -> int:
    """The types that are made of others."""
    if name == "Nullable":
        return _skip(data, position + rows, inner, rows)
    if name == "LowCardinality":
        return _skip_dictionary(data, position, inner[9:-1] if inner.startswith("Nullable(") else inner)
    if name == "Tuple":
        for part in _arguments(inner):
            # A named element is its name, a blank, its type.
            named = re.fullmatch(r"(?:`[^`]*`|\w+) (.+)", part, re.DOTALL)
            position = _skip(data, position, named[1] if named else part, rows)
        return position
    if name in ("Array", "Map"):
        # The ends of the rows' elements; the last is how many there are. A map is an array of keys and one of values.
        total = int.from_bytes(data[position + (rows - 1) * 8 : position + rows * 8], "little")
        position += rows * 8
        for part in _arguments(inner) if total else ():
            position = _skip(data, position, part, total)
        return position
    raise UnsupportedTypeError(
        f"columns of type {name}{f'({inner})' if inner else ''} are not served to this client: "
        "cast them to String in the query"
    )


def _decimal_width(digits: int) -> int:
    return next(width for most, width in ((9, 4), (18, 8), (38, 16), (76, 32)) if digits <= most)


def _skip_dictionary(data: bytes, position: int, kind: str) -> int:
    """Flags, of which the lowest byte is the width of an index; the keys; the indexes. Null is the first key."""
    width = 1 << data[position]
    keys = int.from_bytes(data[position + 8 : position + 16], "little")
    position = _skip(data, position + 16, kind, keys)
    rows = int.from_bytes(data[position : position + 8], "little")
    return position + 8 + rows * width


def _arguments(text: str) -> list[str]:
    """The types in a list, split at commas outside of parentheses and quotes."""
    parts, depth, current, quoted = [], 0, "", False
    for char in text:
        quoted ^= char == "'"
        depth += (char == "(") - (char == ")") if not quoted else 0
        if char == "," and depth == 0 and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7


def _skip_string(data: bytes, position: int) -> int:
    length, position = _varint(data, position)
    return position + length

"""Native blocks for newer clients: walked for every type that the tables and views have."""

from __future__ import annotations

import pytest

from streamgauge.embedded.clickhouse_native import UnsupportedTypeError, for_protocol

INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


def block(rows: int, *columns: tuple[str, str, bytes]) -> bytes:
    out = bytes([len(columns), rows])
    for name, kind, data in columns:
        out += bytes([len(name)]) + name.encode() + bytes([len(kind)]) + kind.encode() + data
    return out


@pytest.mark.parametrize(
    ("kind", "rows", "data"),
    [
        ("UInt8", 2, b"\x01\x02"),
        ("Decimal(18, 9)", 1, b"8" * 8),
        ("Decimal(38, 9)", 1, b"8" * 16),
        ("DateTime64(6, 'UTC')", 1, b"8" * 8),
        ("Enum8('a,)' = 1)", 1, b"1"),
        ("FixedString(3)", 2, b"abcdef"),
        ("String", 2, b"\x00\x03abc"),
        ("Nullable(String)", 2, b"\x01\x00\x00\x02ab"),
        ("Array(UInt16)", 2, (1).to_bytes(8, "little") + (3).to_bytes(8, "little") + b"6" * 6),
        ("Array(String)", 1, bytes(8)),
        ("Map(String, UInt8)", 1, (1).to_bytes(8, "little") + b"\x01k\x07"),
        ("Tuple(x Int8, `y z` Nullable(UInt8))", 1, b"\x01\x00\x02"),
        (
            "LowCardinality(Nullable(String))",
            2,
            b"v" * 8
            + b"\x00"
            + b"f" * 7
            + (2).to_bytes(8, "little")
            + b"\x00\x01k"
            + (2).to_bytes(8, "little")
            + b"\x00\x01",
        ),
    ],
)
def test_a_byte_is_put_behind_each_type(kind: str, rows: int, data: bytes) -> None:
    """Two columns and two blocks: the second of each is found only if the first was walked right."""
    plain = block(rows, ("a", kind, data), ("b", kind, data))
    head = bytes([len(kind)]) + kind.encode()
    changed = INFO + plain.replace(head, head + b"\x00")
    assert for_protocol(plain + plain, 54_460) == changed + changed
    assert for_protocol(plain + plain, 54_405) == INFO + plain + INFO + plain
    assert for_protocol(plain, 0) == plain


def test_a_block_without_rows_has_no_data() -> None:
    plain = block(0, ("a", "JSON", b""))
    assert for_protocol(plain, 54_460) == INFO + plain + b"\x00"


def test_a_type_that_cannot_be_walked_is_named() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"type JSON .* cast them to String"):
        for_protocol(block(1, ("a", "JSON", b"?")), 54_460)

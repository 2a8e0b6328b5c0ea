"""In: the raw value of a Kafka message. Out: which of three framings it has, which schema wrote it, and where its body
starts.

| first bytes | framing | then |
|---|---|---|
| `00`    | Confluent wire format     | 4 bytes schema id, big-endian, then the Avro datum |
| `C3 01` | Avro single-object        | 8 bytes CRC-64-AVRO of the schema, little-endian, then the Avro datum |
| `{`     | plain JSON                | RFC 3339 or epoch-µs times, no Avro union wrapping |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

Framing = Literal["confluent", "single_object", "json"]

CONFLUENT_MAGIC = b"\x00"
SINGLE_OBJECT_MAGIC = b"\xc3\x01"
CONFLUENT_HEADER_BYTES = 5
SINGLE_OBJECT_HEADER_BYTES = 10


class FramingError(ValueError):
    """The value starts with none of the three framings, or ends inside its header. `code` is a rejection code."""

    def __init__(self, code: Literal["empty", "unknown_framing", "truncated"], message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a value's body starts and what wrote it: a registry id (int), fingerprint bytes, or None for JSON."""

    framing: Framing
    schema_ref: int | bytes | None
    body_at: int


def read_frame(value: bytes | None) -> Frame:
    """Tell the framing of one message value. Raises FramingError, never anything else."""
    if not value:
        raise FramingError("empty", "the message is empty: send one usage event, or a batch of them, as its value")
    first = value[0]
    if first == 0x7B:
        return Frame("json", None, 0)
    if first == 0x00:
        if len(value) < CONFLUENT_HEADER_BYTES:
            raise FramingError("truncated", f"Confluent framing needs 5 header bytes, the message has {len(value)}")
        return Frame("confluent", int.from_bytes(value[1:5], "big"), CONFLUENT_HEADER_BYTES)
    if value[:2] == SINGLE_OBJECT_MAGIC:
        if len(value) < SINGLE_OBJECT_HEADER_BYTES:
            raise FramingError(
                "truncated", f"Avro single-object framing needs 10 header bytes, the message has {len(value)}"
            )
        return Frame("single_object", value[2:10], SINGLE_OBJECT_HEADER_BYTES)
    raise FramingError(
        "unknown_framing",
        f"the message starts with 0x{first:02x}; accepted are 0x00 (Confluent), 0xc301 (Avro single-object) "
        "and '{' (JSON: one event, or several as {\"events\": [...]})",
    )


def frame_confluent(schema_id: int, datum: bytes) -> bytes:
    """Put an Avro datum into the Confluent wire format."""
    return CONFLUENT_MAGIC + struct.pack(">I", schema_id) + datum


def frame_single_object(crc64: bytes, datum: bytes) -> bytes:
    """Put an Avro datum into Avro's single-object encoding; `crc64` are the 8 little-endian fingerprint bytes."""
    return SINGLE_OBJECT_MAGIC + crc64 + datum


def batch_datum(datums: list[bytes]) -> bytes:
    """Join event datums into one UsageEventBatch datum: an Avro array is count, items, zero."""
    return b"\x00" if not datums else _zigzag(len(datums)) + b"".join(datums) + b"\x00"


def _zigzag(number: int) -> bytes:
    value = number << 1
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""In: the bytes of a refused event. Out: lines that a person can read: JSON, decoded Avro, an enriched row, or hex."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from schemas.arrow_ipc import from_ipc
from schemas.decoding import Decoder, UnknownSchema
from schemas.enriched import ENRICHED

_HEX_BYTES: Final = 512
_LINE: Final = 16


class _NoRegistry:
    """`show` asks nobody: what only a registry can read is shown as hex."""

    def schema_text(self, schema_id: int) -> str:
        raise UnknownSchema(f"schema {schema_id}")


def readable(raw: bytes, code: str, *, is_outcome: bool = False) -> list[str]:
    """What the bytes say, as far as they can be read."""
    if not raw:
        return ["(empty)"]
    if code == "refused_by_clickhouse":
        rows = from_ipc(raw, ENRICHED).to_pylist()
        return [line for row in rows for line in _pretty({k: v for k, v in row.items() if v is not None})]
    if raw[:1] in (b"{", b"["):
        try:
            return _pretty(json.loads(raw))
        except ValueError:
            return raw.decode("utf-8", "replace").splitlines()
    try:
        decoded = Decoder("outcome_event" if is_outcome else "usage_event", _NoRegistry()).decode([raw])
    except (UnknownSchema, pa.ArrowException):
        return list(_hex(raw))
    if decoded.table.num_rows:
        rows = decoded.table.to_pylist()
        return [line for row in rows for line in _pretty({k: v for k, v in row.items() if v not in (None, [])})]
    return list(_hex(raw))


def _pretty(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).splitlines()


def _hex(raw: bytes) -> Iterator[str]:
    for start in range(0, min(len(raw), _HEX_BYTES), _LINE):
        part = raw[start : start + _LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:04x}  {part.hex(' '):<{_LINE * 3}} {text}"
    if len(raw) > _HEX_BYTES:
        yield f"… {len(raw) - _HEX_BYTES:,} bytes more"

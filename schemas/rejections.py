"""In: an event that was refused. Out: the record on `usage.rejected`: a code, one sentence, where it came from, its
raw bytes.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

RejectionCode = Literal[
    "empty",
    "unknown_framing",
    "truncated",
    "unknown_schema",
    "schema_mismatch",
    "undecodable",
    "not_utf8",
    "bad_json",
    "missing_field",
    "bad_type",
    "bad_value",
    "negative_count",
    "absurd_count",
    "broken_invariant",
    "tag_not_allowed",
    "too_long",
    "too_early",
    "too_far_ahead",
    "id_conflict",
    "refused_by_clickhouse",
]

#: Raw bytes kept on the record; the rest is cut and the hash of the whole is kept (no produced message above 900 kB).
MAX_RAW_BYTES: Final = 600_000


class Rejection(BaseModel):
    """One refused event. `raw` is base64: the whole message where it could not be decoded, else the one event as JSON;
    with the code `refused_by_clickhouse` the enriched row as an Arrow IPC stream.

    `offset` and `index` are its source position: the message in the input partition, and the event within a batch.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    code: RejectionCode
    message: str
    topic: str
    partition: int
    offset: int
    index: int = 0
    appended_at_us: int
    source: str | None = None
    event_id: str | None = None
    raw: str
    raw_sha256: str
    raw_bytes: int
    raw_truncated: bool


def pack_raw(value: bytes) -> tuple[str, str, int, bool]:
    """(base64 of the kept bytes, SHA-256 of all of them, how many there were, whether some were cut)."""
    kept = value[:MAX_RAW_BYTES]
    return (
        base64.b64encode(kept).decode("ascii"),
        hashlib.sha256(value).hexdigest(),
        len(value),
        len(kept) < len(value),
    )

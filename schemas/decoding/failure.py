"""In: nothing. Out: the value that says why one message, or one event within it, could not be decoded."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.rejections import RejectionCode


@dataclass(frozen=True, slots=True)
class Failure:
    """`message`: place in the values given; `index`: event in that message; `raw`: its bytes (None: the message)."""

    message: int
    index: int
    code: RejectionCode
    sentence: str
    raw: bytes | None = None
    source: str | None = None
    event_id: str | None = None

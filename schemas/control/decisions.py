"""In: what somebody decided. Out: the signed part that exceptions and acknowledgements share, and its bytes.

`via` tells how the decision is known to be theirs: `review`, a merged file; `signature`, checked against the
principal's public key by whoever evaluates it; `rule`, an exception rule decided.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field

from schemas.control.base import Id, Moment, Record, Text

Via = Literal["review", "signature", "rule"]


class Decision(Record):
    """One decision. `by` is a principal's id, or `rule/ID`."""

    verdict: Literal["approved", "denied", "revoked", "acknowledged"]
    by: Text
    at: Moment
    via: Via
    note: Text | None = None
    signature: Text | None = Field(default=None, description="Base64 Ed25519 signature over `signed_bytes`.")

    def signed_bytes(self, subject: Record) -> bytes:
        """What is signed: the record decided on without its decisions, and this decision without its signature."""
        about = subject.model_dump(mode="json", exclude_none=True, exclude={"decision"})
        said = self.model_dump(mode="json", exclude_none=True, exclude={"signature"})
        return json.dumps(["streamgauge-decision-1", about, said], sort_keys=True, separators=(",", ":")).encode()


class Evidence(Record):
    """What supports a request: a ticket, an evaluation, an outcome report."""

    kind: Id
    reference: Text

"""In: how many outcomes each batch had, and how many failed for their schema. Out: nothing, or the stop of a sink that
would dead-letter everything.

A sender's mistake is refused outcome by outcome. When a large share of all outcomes fails for its schema, the fault is
likely ours: a registry that is not set, a version that is older than the senders'. The same rule as enrich has for
events. Held in memory: a restart begins to count anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from schemas.rejections import RejectionCode
from sinks.errors import SinkError

#: Refusals that are decided by schemas which we or the registry hold.
SCHEMA_CODES: Final[frozenset[RejectionCode]] = frozenset({"unknown_schema", "schema_mismatch", "undecodable"})


@dataclass(slots=True)
class OutcomeLimit:
    """`share` of at least the newest `outcomes`; a share of 0 switches it off."""

    share: float
    outcomes: int
    _batches: deque[tuple[int, int]] = field(default_factory=deque)

    def count(self, read: int, failed: int, last: str) -> None:
        """One batch, before its refusals are published; `last`: one of their sentences. SinkError at the limit."""
        self._batches.append((read, failed))
        while len(self._batches) > 1 and sum(size for size, _ in self._batches) - self._batches[0][0] >= self.outcomes:
            self._batches.popleft()
        seen, bad = (sum(column) for column in zip(*self._batches, strict=True))
        if self.share > 0 and seen >= self.outcomes and bad >= self.share * seen:
            raise SinkError(
                f"{bad:,} of the newest {seen:,} outcomes fail for their schema, for example: {last}. Their schemas "
                "are ours to know, so the sink stops before it refuses these; nothing of the batch was committed. Mend "
                "the cause (registry.url, this version against the senders') and start again. If they are to be "
                "refused, start once with STREAMGAUGE_SINK__REJECT_LIMIT_SHARE=0"
            )

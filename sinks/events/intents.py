"""In: a coalesced source range about to be inserted. Out: the metadata of an offset commit that names it, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_FORM: Final = re.compile(r"sink1 (\d+):(\d+) (\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class Intent:
    """Source range [first, next), carried by the messages [start, end) of usage.enriched.

    Written down before the insert, so that whoever comes after a crash inserts exactly this range again, under the same
    token. The embedded broker drops the metadata of commits; there the ledger alone tells what was inserted, a range
    repeated under another token becomes second rows of the same keys, and the view `usage_events` shows one of them.
    """

    first: int
    next: int
    start: int
    end: int

    def metadata(self) -> str:
        """At most 85 characters (four numbers of 19 digits); Kafka takes 4,096."""
        return f"sink1 {self.first}:{self.next} {self.start}:{self.end}"


def read_intent(metadata: str | None) -> Intent | None:
    """None for metadata that is missing or not ours."""
    match = _FORM.fullmatch(metadata or "")
    return Intent(*(int(number) for number in match.groups())) if match else None

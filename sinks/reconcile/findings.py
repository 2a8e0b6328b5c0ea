"""In: what a check saw. Out: what a report is made of: what was judged, what does not add up, and what to do.

A *residual* is counted in events (rows, or offsets of a hole); zero means that the figures add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Check = Literal["chain", "parts", "rows", "rejected", "agents"]
CHECKS: Final[tuple[Check, ...]] = ("chain", "parts", "rows", "rejected", "agents")

Kind = Literal[
    "hole",
    "overlap",
    "late_start",
    "beyond_end",
    "unequal_parts",
    "ledger_changed",
    "missing",
    "changed",
    "resend",
    "surplus",
    "unexplained",
    "rejection_missing",
    "rejection_surplus",
    "total_high",
    "total_low",
]

#: What each kind is and what to do about it, each one sentence or two.
ADVICE: Final[dict[Kind, str]] = {
    "hole": "Ranges are missing from the ledger. `--correct` reads them back from usage.enriched while its retention "
    "lasts; beyond that they stay named.",
    "overlap": "Two ranges cover the same offsets: on Apache Kafka that means that somebody wrote to the ledger; the "
    "embedded broker keeps no intents, so a crash there may cut a range anew. Delete the row that is wrong.",
    "late_start": "The ledger begins behind the oldest message that is still on usage.events: its first rows were "
    "removed, or enrich was started behind them. `--correct` reads back what usage.enriched still holds.",
    "beyond_end": "The ledger says more than was ever written to usage.events: somebody wrote to it, or the topic was "
    "made anew under the same identity. Delete the row.",
    "unequal_parts": "read is not enriched + duplicates + rejected in the ledger row: somebody changed it. `--correct` "
    "writes the row again from usage.enriched.",
    "ledger_changed": "The ledger row differs from what enrich wrote on usage.enriched. `--correct` writes it again.",
    "missing": "Rows are gone from usage_events_raw. `--correct` inserts them again from usage.enriched.",
    "changed": "Rows are not what enrich wrote. A changed row is never overwritten: delete it, then run `--correct`, "
    "which inserts it as it was.",
    "resend": "Events were sent again beyond the dedupe horizon or into another partition: ClickHouse keeps one row, "
    "totals and budgets count two. `--correct` takes the second one out of them.",
    "surplus": "Rows that no message made, or at another place than theirs. Delete them; where such a row hid a true "
    "one, run `--correct` afterwards.",
    "unexplained": "The range does not add up, and usage.enriched no longer holds it, so nobody can tell which rows. "
    "Rows older than Kafka's retention come back from a backup only.",
    "rejection_missing": "Refused events are not in usage_rejected. `--correct` inserts them from usage.rejected.",
    "rejection_surplus": "usage_rejected holds more than was refused: somebody wrote to it. Delete the rows.",
    "total_high": "The budget's total is above ClickHouse. Resends that are named above explain it until `--correct` "
    "has taken them out.",
    "total_low": "The budget's total is below ClickHouse: rows were added or changed by hand, or tallies were lost.",
}


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where one event stands: the message in its log, and its place in a batch."""

    log: str
    partition: int
    offset: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows and their sums; tokens are counts, money is nano-USD."""

    rows: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0
    unpriced: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(mine - theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def __bool__(self) -> bool:
        return any(self.values())

    def values(self) -> tuple[int, int, int, int, int]:
        return self.rows, self.input_tokens, self.output_tokens, self.cost_nanousd, self.unpriced


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up. `events`: its residual. `first`, `next`: the source offsets that it lies in.

    `positions`: (offset, index) of the events concerned, where they are known. `correctable`: `--correct` mends it.
    """

    check: Check
    kind: Kind
    log: str
    partition: int | None
    events: int
    first: int | None = None
    next: int | None = None
    positions: tuple[tuple[int, int], ...] = ()
    budget: str | None = None
    difference: Sums | None = None
    detail: str = ""
    correctable: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One check of one partition: how much was judged, and what was found."""

    check: Check
    log: str
    partition: int | None
    judged: int
    events: int
    findings: tuple[Finding, ...] = ()

    @property
    def residual(self) -> int:
        return sum(finding.events for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found. `notes`: what was not judged, or is no residual, in sentences."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def findings(self) -> Sequence[Finding]:
        return [finding for line in self.lines for finding in line.findings]

    @property
    def residual(self) -> int:
        return sum(line.residual for line in self.lines)

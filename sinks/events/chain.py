"""In: whole source ranges of one partition, in the order in which they are met. Out: what is to be inserted together,
and when.

Pure: knows neither Kafka nor ClickHouse nor the time, which is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sinks.events.intents import Intent
from sinks.events.ranges import Assembler, RangeBlock

Placement = Literal["taken", "skipped", "hole"]


@dataclass(slots=True)
class Chain:
    """What one input partition's writer remembers between messages.

    `applied`: next source offset that ClickHouse does not have; None when it has nothing of this log. `resume`: offset
    on usage.enriched behind what is applied. `intent`: a range that an earlier owner was about to insert.
    """

    partition: int
    applied: int | None
    resume: int | None
    intent: Intent | None = None
    assembler: Assembler = field(default_factory=Assembler)
    pending: list[RangeBlock] = field(default_factory=list)
    rows: int = 0
    since: float | None = None
    #: Where the missing ranges were looked for: from what is applied, and at which offset of usage.enriched.
    sought: tuple[int | None, int] | None = None
    #: Offset behind the last message met, and the last one told to the group.
    met: int | None = None
    told: int | None = None

    @property
    def expected(self) -> int | None:
        """First offset of the range that continues the chain; None: any range does."""
        return self.pending[-1].source.next if self.pending else self.applied

    def place(self, block: RangeBlock) -> Placement:
        """What is to be done with a range, without doing it."""
        source, expected = block.source, self.expected
        if expected is None or source.first == expected:
            return "taken"
        if source.first > expected:
            return "hole"
        # A range that begins before and ends behind is taken whole: its rows' keys drop what is there already. Enrich
        # cuts a range anew only where its intents are not kept, which is the embedded broker.
        return "skipped" if source.next <= expected else "taken"

    def take(self, block: RangeBlock, now: float) -> None:
        """Add a range to what will be inserted next. `now`: monotonic seconds."""
        if self.intent is not None and not self.pending and block.source.first != self.intent.first:
            # ClickHouse lost or never had what came before the intent, so its exact range cannot be built again.
            self.intent = None
        self.pending.append(block)
        self.rows += block.rows
        if self.since is None:
            self.since = now
        self.sought = None

    def due(self, now: float, flush_rows: int, flush_s: float) -> bool:
        """Whether what is pending should be inserted now. An intent is inserted at its exact end, neither before nor
        behind.
        """
        if not self.pending:
            return False
        if self.intent is not None:
            return self.pending[-1].source.next >= self.intent.next
        assert self.since is not None
        return self.rows >= flush_rows or now - self.since >= flush_s

    @property
    def hint(self) -> int | None:
        """An offset to tell the group's watchers where nothing is to be inserted; None when there is nothing new to
        tell. Never before an earlier owner's intent is repeated, which it would overwrite.
        """
        return None if self.pending or self.intent is not None or self.met == self.told else self.met

    def planned(self) -> Intent:
        """The range that all pending blocks make together."""
        first, last = self.pending[0], self.pending[-1]
        return Intent(first.source.first, last.source.next, first.first_offset, last.last_offset + 1)

    def done(self) -> None:
        """What was pending is in ClickHouse."""
        last = self.pending[-1]
        self.applied, self.resume = last.source.next, last.last_offset + 1
        self.intent = None
        self.forget()

    def forget(self) -> None:
        """Drop what is pending; reading goes on at `resume`."""
        self.pending, self.rows, self.since = [], 0, None
        self.assembler.reset()

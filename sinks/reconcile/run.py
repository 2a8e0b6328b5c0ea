"""In: ClickHouse, Kafka, and how far back to look. Out: a report: what was judged, what does not add up, and where.

Everything goes on flowing meanwhile, so each figure is taken in the order in which it is certain:

1. statuses of budgets, with the offsets that they have counted;
2. the ledger, once it has passed those offsets, and in one answer what it says of each judged stretch;
3. the rows at its positions, which are there already, because the sink writes them before their ledger row;
4. where `usage.events` ends, which is behind all that was read.

What is further on than the ledger is not judged: it is said how much that is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.control_log import ControlLog
from runtime.log_identity import log_identity
from schemas.control.base import moment_us
from schemas.control.budgets import Budget
from schemas.status import BudgetStatus
from schemas.topics import Topics
from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.budgets import judge_budgets
from sinks.reconcile.chain import Hole, judge_chain
from sinks.reconcile.ends import Ends, log_ends
from sinks.reconcile.examine import Examined, Examiner
from sinks.reconcile.findings import CHECKS, Line, Report
from sinks.reconcile.parts import Unequal, judge_parts
from sinks.reconcile.readback import ReadBack
from sinks.reconcile.rejected import judge_rejected
from sinks.reconcile.rows import judge_rows
from sinks.reconcile.scope import LogScope, kept_since_us, scopes

#: How long is waited for what is only late: the sink, which writes about once a second, and records of refused events.
PATIENCE_S: Final = 10.0
#: Ranges of a partition that are looked into event by event; a correction looks into all.
MOST_RANGES: Final = 50
_QUICK_PERIOD_US: Final = 2 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """The report, and what a correction works on. `log`: the present log of usage.events."""

    report: Report
    log: str
    examined: tuple[Examined, ...]
    holes: tuple[Hole, ...]
    unequal: tuple[Unequal, ...]


class Reconciler:
    """One run or several. Not thread-safe. Raises what Kafka and ClickHouse raise when they cannot be asked."""

    def __init__(
        self,
        database: Database,
        connection: KafkaConnection,
        topics: Topics,
        clock: Clock,
        statuses: Callable[[], Sequence[BudgetStatus]],
        records_group: str,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`statuses`: reads what budgets stand at. `records_group`: consumer group that writes usage_rejected."""
        self._database, self._connection, self._topics, self._clock = database, connection, topics, clock
        self._statuses = statuses
        self._group = records_group
        self._patience_s = patience_s

    @cached_property
    def log(self) -> str:
        return log_identity(self._connection, self._topics.events)

    def judge(self, since_us: int | None, *, quick: bool = False, most_ranges: int | None = MOST_RANGES) -> Judged:
        """Judge what was appended since then; None: everything that is kept. The chain is judged whole, and every
        budget. `quick`: the chain since then alone, and of budgets those whose period began within two days, because a
        month has to be summed up.
        """
        now_us = self._clock.now_us()
        notes: list[str] = []
        # 1. What budgets say they have counted.
        statuses = list(self._statuses())
        if quick:
            young = [one for one in statuses if moment_us(one.period.start) >= now_us - _QUICK_PERIOD_US]
            if len(young) < len(statuses):
                notes.append(
                    f"{len(statuses) - len(young)} budgets whose period began more than two days ago: not judged; run "
                    "without --since for them"
                )
            statuses = young
        # 2. The ledger, once it has that.
        reached = self._reached(statuses)
        rows_since = _later(since_us, kept_since_us(self._database, now_us, "usage_events_raw", "usage_ledger"))
        judged = scopes(self._database, rows_since)
        chained = judged if quick else scopes(self._database, kept_since_us(self._database, now_us, "usage_ledger"))
        lines: list[Line] = []
        examined: list[Examined] = []
        holes: list[Hole] = []
        unequal: list[Unequal] = []
        with ReadBack(self._connection, self._topics.enriched) as read_back:
            examiner = Examiner(self._database, read_back, self.log)
            for scope in judged:
                present = scope.log == self.log
                # 3. and 4. The rows, and then where their log ends.
                rows = judge_rows(self._database, scope, examiner, self._ends if present else None, most_ranges)
                lines += rows.lines
                notes += rows.notes
                examined += rows.examined
                parts, found = judge_parts(self._database, scope)
                lines += parts
                unequal += found if present else []
        ends = self._ends()
        for scope in chained:
            present = scope.log == self.log
            chain, found_holes, told = judge_chain(self._database, scope, ends if present else None)
            lines += chain
            notes += told
            holes += found_holes if present else []
        for line_or_note in self._rejected(since_us, now_us):
            lines += [line_or_note] if isinstance(line_or_note, Line) else []
            notes += [line_or_note] if isinstance(line_or_note, str) else []
        budget_lines, told = judge_budgets(self._database, self.log, statuses, self._budgets(statuses), reached)
        lines += budget_lines
        notes += told + self._behind(judged, ends)
        ordered = sorted(
            lines, key=lambda one: (one.log != self.log, one.log, CHECKS.index(one.check), one.partition or 0)
        )
        return Judged(Report(tuple(ordered), tuple(notes)), self.log, tuple(examined), tuple(holes), tuple(unequal))

    def _budgets(self, statuses: Sequence[BudgetStatus]) -> Mapping[str, Budget]:
        """The budgets in force now, where any are to be judged."""
        if not statuses:
            return {}
        control = ControlLog(self._connection, self._topics.control)
        try:
            return control.read_to_end().budgets
        finally:
            control.close()

    def _reached(self, statuses: Sequence[BudgetStatus]) -> dict[int, int]:
        """How far the ledger is, once it has what the statuses have counted or there was no more patience."""
        deadline = self._clock.monotonic() + self._patience_s
        while True:
            reached = dict(ask(self._database, "ledger_ends", log=self.log))
            ahead = any(offset > reached.get(p, 0) for one in statuses for p, offset in one.as_of.offsets.items())
            if not ahead or self._clock.monotonic() >= deadline:
                return reached
            time.sleep(0.2)

    def _ends(self) -> dict[int, Ends]:
        return log_ends(self._connection, self._topics.events, range(self._topics.event_partitions))

    def _rejected(self, since_us: int | None, now_us: int) -> Sequence[Line | str]:
        kept = kept_since_us(self._database, now_us, "usage_rejected", "usage_ledger")
        deadline = self._clock.monotonic() + self._patience_s

        def wait() -> bool:
            if self._clock.monotonic() >= deadline:
                return False
            time.sleep(0.2)
            return True

        found: list[Line | str] = []
        for scope in scopes(self._database, _later(since_us, kept)):
            present = scope.log == self.log
            lines, notes = judge_rejected(
                self._database,
                scope,
                self._records_behind if present else lambda: 0,
                wait if present else lambda: False,
            )
            found += [*lines, *notes]
        return found

    def _records_behind(self) -> int | None:
        """Messages of usage.rejected that the sink has not written; None where we may not ask."""
        consumer = Consumer({**self._connection.consumer(self._group), "log_level": 0})
        try:
            committed = consumer.committed([TopicPartition(self._topics.rejected, 0)], timeout=10)[0].offset
        except KafkaException:
            return None
        finally:
            consumer.close()
        ends = log_ends(self._connection, self._topics.rejected, [0])[0]
        return max(0, ends.end - max(committed, ends.low))

    def _behind(self, judged: Sequence[LogScope], ends: dict[int, Ends]) -> list[str]:
        reached = {one.partition: one.next for scope in judged if scope.log == self.log for one in scope.stretches}
        if len(reached) < len(ends):
            reached = dict(ask(self._database, "ledger_ends", log=self.log)) | reached
        late = {p: one.end - max(one.low, reached.get(p, 0)) for p, one in ends.items()}
        return [
            f"partition {partition}: behind by {messages} messages of usage.events, not yet judged"
            for partition, messages in sorted(late.items())
            if messages > 0
        ]


def _later(one_us: int | None, other_us: int | None) -> int | None:
    known = [us for us in (one_us, other_us) if us is not None]
    return max(known, default=None)

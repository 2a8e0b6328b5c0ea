"""In: the ledger of one log. Out: whether its ranges form a chain, from its beginning to its end, and lie within what
`usage.events` holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.ends import Ends
from sinks.reconcile.findings import Finding, Line
from sinks.reconcile.scope import LogScope, Stretch


@dataclass(frozen=True, slots=True)
class Hole:
    """Source offsets [first, next) of one partition that the ledger lacks. `start`: offset on usage.enriched at or
    before their first message.
    """

    partition: int
    first: int
    next: int
    start: int


def judge_chain(
    database: Database, scope: LogScope, ends: Mapping[int, Ends] | None
) -> tuple[list[Line], list[Hole], list[str]]:
    """Lines, holes and notes. `ends`: of usage.events, where this log is the present one; read after the ledger was."""
    found: dict[int, list[Finding]] = {}
    holes: list[Hole] = []
    least = min(one.first for one in scope.stretches)
    given = {name: value for name, value in scope.places().items() if name != "nexts"}
    for partition, reached, first, after, resume in ask(database, "chain", least=least, **given):
        if first > reached:
            holes.append(Hole(partition, reached, first, resume))
            finding = Finding("chain", "hole", scope.log, partition, first - reached, reached, first, correctable=True)
        else:
            end = min(reached, after)
            finding = Finding("chain", "overlap", scope.log, partition, end - first, first, end)
        found.setdefault(partition, []).append(finding)
    notes: list[str] = []
    for stretch in scope.stretches:
        if ends is not None and (end := ends.get(stretch.partition)) is not None:
            finding_or_note = _edges(scope, stretch, end, holes)
            if isinstance(finding_or_note, str):
                notes.append(finding_or_note)
            elif finding_or_note is not None:
                found.setdefault(stretch.partition, []).append(finding_or_note)
    lines = [
        Line(
            "chain",
            scope.log,
            stretch.partition,
            stretch.ranges,
            stretch.next - stretch.first,
            tuple(found.get(stretch.partition, ())),
        )
        for stretch in scope.stretches
    ]
    return lines, holes, notes


def _edges(scope: LogScope, stretch: Stretch, ends: Ends, holes: list[Hole]) -> Finding | str | None:
    """The chain's beginning and end against the log's."""
    partition = stretch.partition
    if stretch.next > ends.end:
        return Finding("chain", "beyond_end", scope.log, partition, stretch.next - ends.end, ends.end, stretch.next)
    if stretch.ledger_first != stretch.first:
        return None
    if stretch.first > ends.low:
        holes.append(Hole(partition, ends.low, stretch.first, 0))
        lost = stretch.first - ends.low
        return Finding("chain", "late_start", scope.log, partition, lost, ends.low, stretch.first, correctable=True)
    if stretch.first > 0:
        return (
            f"partition {partition}: the ledger begins at offset {stretch.first}; what was before has left usage.events"
        )
    return None

"""In: the judged stretches of one log. Out: the ledger's refused events against their records in `usage_rejected`.

The records come by another topic and another consumer group than the ledger, so what is short may only be late: it is
asked again while that group has something to write, and for a moment more.
"""

from __future__ import annotations

from collections.abc import Callable

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Finding, Line
from sinks.reconcile.scope import LogScope, Stretch


def judge_rejected(
    database: Database, scope: LogScope, behind: Callable[[], int | None], wait: Callable[[], bool]
) -> tuple[list[Line], list[str]]:
    """Lines and notes. `behind`: messages of usage.rejected that the sink has not written, None when nobody can tell.
    `wait`: pauses a moment; False when there was enough of that.
    """
    while True:
        late = behind()
        found = {row[0]: (row[1], row[2]) for row in ask(database, "rejected_sums", **scope.places())}
        wanted = {one.partition: (one.rejected, one.refused) for one in scope.stretches}
        off = [one for one in scope.stretches if found.get(one.partition, (0, 0)) != wanted[one.partition]]
        if not off or not wait():
            break
    if off and late:
        note = (
            f"refused events are behind by {late} messages of usage.rejected: not yet judged in partitions "
            f"{', '.join(str(one.partition) for one in off)}"
        )
        return [_line(scope, one, []) for one in scope.stretches if one not in off], [note]
    return [_line(scope, one, _findings(database, scope.log, one) if one in off else []) for one in scope.stretches], []


def _line(scope: LogScope, stretch: Stretch, findings: list[Finding]) -> Line:
    events = stretch.rejected + stretch.refused
    return Line("rejected", scope.log, stretch.partition, stretch.ranges, events, tuple(findings))


def _findings(database: Database, log: str, stretch: Stretch) -> list[Finding]:
    findings = []
    for first, after, wanted, found, wanted_refused, found_refused in ask(
        database,
        "rejected_ranges",
        log=log,
        partition=stretch.partition,
        first=stretch.first,
        next=stretch.next,
    ):
        more = max(0, found - wanted) + max(0, found_refused - wanted_refused)
        fewer = max(0, wanted - found) + max(0, wanted_refused - found_refused)
        if fewer:
            findings.append(
                Finding("rejected", "rejection_missing", log, stretch.partition, fewer, first, after, correctable=True)
            )
        if more:
            findings.append(Finding("rejected", "rejection_surplus", log, stretch.partition, more, first, after))
    return findings

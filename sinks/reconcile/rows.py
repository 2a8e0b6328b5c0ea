"""In: the judged stretches of one log. Out: the ledger against the deduplicated rows of `usage_events_raw`: how many
they are and their sums, range by range.

Two questions for each log; only a range that is off is looked into event by event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.ends import Ends
from sinks.reconcile.examine import Examined, Examiner
from sinks.reconcile.findings import Finding, Kind, Line, Position, Sums
from sinks.reconcile.gaps import Gap, find_gaps
from sinks.reconcile.scope import LogScope, Stretch

#: Positions named in a finding; how many there are stands beside them.
NAMED: Final = 1_000


@dataclass(frozen=True, slots=True)
class RowsJudged:
    """Lines of the report, the ranges that were looked into, and sentences about what is no residual."""

    lines: tuple[Line, ...]
    examined: tuple[Examined, ...]
    notes: tuple[str, ...]


def judge_rows(
    database: Database,
    scope: LogScope,
    examiner: Examiner,
    ends: Callable[[], Mapping[int, Ends]] | None,
    most_ranges: int | None,
) -> RowsJudged:
    """`ends`: asks where the partitions of usage.events end, where this log is the present one; called once the rows
    were looked at, so that whatever was read is below it. `most_ranges`: looked into at most for each partition; the
    others are named with their counts. None: all.
    """
    times = scope.times()
    places = scope.places()
    met = [] if times is None else ask(database, "row_hours", **places, **times)
    hours = sorted({row[1] for row in met})
    judged = {p: sum(row[2] for row in met if row[0] == p) for p in {row[0] for row in met}}
    beyond = {} if ends is None or times is None else _beyond(database, scope.log, times, ends(), met)
    lines: list[Line] = []
    examined: list[Examined] = []
    notes: list[str] = []
    gaps: dict[int, list[Gap]] = defaultdict(list)
    for gap in find_gaps(database, scope, hours):
        gaps[gap.place.partition].append(gap)
    for stretch in scope.stretches:
        p = stretch.partition
        findings: list[Finding] = []
        for number, gap in enumerate(gaps[p]):
            if most_ranges is None or number < most_ranges:
                one = examiner.examine(gap, hours)
                examined.append(one)
                findings += _findings(one)
            else:
                findings.append(_unlooked(scope.log, stretch, gap.place.first, gap.place.next, gap.difference))
        if judged.get(p, 0) > stretch.expected.rows:
            notes += _repeats(database, scope.log, stretch, hours)
        findings += beyond.pop(p, [])
        lines.append(Line("rows", scope.log, p, stretch.ranges, stretch.expected.rows, tuple(findings)))
    lines += [Line("rows", scope.log, p, 0, 0, tuple(found)) for p, found in beyond.items()]
    return RowsJudged(tuple(lines), tuple(examined), tuple(notes))


def _findings(one: Examined) -> list[Finding]:
    gap = one.gap
    found = [
        *_finding(one, "missing", _positions(one, "missing"), correctable=True),
        *_finding(one, "resend", _positions(one, "resent"), correctable=True),
        *_finding(one, "changed", one.changed),
        *_finding(one, "surplus", one.surplus),
    ]
    if one.ledger_differs:
        found.append(_about(one, "ledger_changed", 1, correctable=True))
    if one.unexplained:
        detail = f"{abs(gap.difference.rows)} rows {'too many' if gap.difference.rows > 0 else 'short'}"
        if one.block is not None:
            detail += ", though every event of the range stands at its place: another range covers the same offsets"
        found.append(replace(_about(one, "unexplained", one.unexplained), detail=detail))
    return found


def _finding(one: Examined, kind: Kind, positions: tuple[Position, ...], *, correctable: bool = False) -> list[Finding]:
    if not positions:
        return []
    elsewhere = [at for at in positions if not _within(at, one)]
    detail = ""
    if elsewhere:
        named = ", ".join(f"partition {at.partition} offset {at.offset}" for at in elsewhere[:5])
        detail = f"the rows stand at {named} and hide events of this range"
    mine = tuple((at.offset, at.index) for at in positions[:NAMED])
    return [replace(_about(one, kind, len(positions), correctable=correctable), positions=mine, detail=detail)]


def _within(at: Position, one: Examined) -> bool:
    place = one.gap.place
    return (at.log, at.partition) == (one.gap.log, place.partition) and place.first <= at.offset < place.next


def _about(one: Examined, kind: Kind, events: int, *, correctable: bool = False) -> Finding:
    gap = one.gap
    return Finding(
        "rows",
        kind,
        gap.log,
        gap.place.partition,
        events,
        gap.place.first,
        gap.place.next,
        difference=gap.difference,
        correctable=correctable,
    )


def _positions(one: Examined, name: str) -> tuple[Position, ...]:
    table = getattr(one, name)
    pairs = zip(table["src_offset"].to_pylist(), table["src_index"].to_pylist(), strict=True)
    return tuple(Position(one.gap.log, one.gap.place.partition, offset, index) for offset, index in pairs)


def _unlooked(log: str, stretch: Stretch, first: int, after: int, difference: Sums) -> Finding:
    return Finding(
        "rows",
        "missing" if difference.rows < 0 else "surplus" if difference.rows > 0 else "changed",
        log,
        stretch.partition,
        abs(difference.rows) or 1,
        first,
        after,
        difference=difference,
        detail="not looked into: many ranges are off, and `--correct` looks into all",
        correctable=difference.rows < 0,
    )


def _repeats(database: Database, log: str, stretch: Stretch, hours: list[int]) -> list[str]:
    """Rows written more than once at one position: harmless, and said."""
    rows = ask(
        database,
        "repeats",
        log=log,
        partition=stretch.partition,
        first=stretch.first,
        next=stretch.next,
        hours=hours,
    )
    if not rows:
        return []
    shown = ", ".join(str(row[1]) for row in rows[:5])
    many, more = "+" if len(rows) == 1_000 else "", ", …" if len(rows) > 5 else ""
    note = (
        f"partition {stretch.partition}: {len(rows)}{many} rows were written more than once (offsets {shown}{more}), "
        "of which the view counts one and merges drop the others"
    )
    return [note]


def _beyond(
    database: Database,
    log: str,
    times: Mapping[str, int],
    ends: Mapping[int, Ends],
    met: Sequence[tuple[Any, ...]],
) -> dict[int, list[Finding]]:
    """By partition: rows at offsets that usage.events never reached. `met`: rows of the question `row_hours`."""
    if all(row[0] in ends and row[3] < ends[row[0]].end for row in met):
        return {}
    rows = ask(database, "beyond", log=log, partitions=list(ends), ends=[one.end for one in ends.values()], **times)
    found = {}
    for partition in sorted({row[0] for row in rows}):
        positions = tuple((offset, index) for p, offset, index in rows if p == partition)
        finding = Finding("rows", "surplus", log, partition, len(positions), positions[0][0], positions[-1][0] + 1)
        detail = "usage.events never reached these offsets"
        found[partition] = [replace(finding, positions=positions, detail=detail)]
    return found

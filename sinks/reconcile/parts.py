"""In: the judged stretches of one log. Out: whether read = enriched + duplicates + rejected in each ledger row."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.database import Database
from sinks.reconcile.asking import ask
from sinks.reconcile.findings import Finding, Line
from sinks.reconcile.readback import Place
from sinks.reconcile.scope import LogScope


@dataclass(frozen=True, slots=True)
class Unequal:
    """A ledger row whose parts do not add up."""

    place: Place


def judge_parts(database: Database, scope: LogScope) -> tuple[list[Line], list[Unequal]]:
    lines, unequal = [], []
    for stretch in scope.stretches:
        findings = []
        if stretch.unequal:
            for first, after, read, enriched, duplicates, rejected, last in ask(
                database,
                "unequal",
                log=scope.log,
                partition=stretch.partition,
                first=stretch.first,
                next=stretch.next,
            ):
                unequal.append(Unequal(Place(stretch.partition, first, after, last, None)))
                off = abs(read - enriched - duplicates - rejected)
                detail = f"read {read}, enriched {enriched}, duplicates {duplicates}, rejected {rejected}"
                findings.append(
                    Finding(
                        "parts",
                        "unequal_parts",
                        scope.log,
                        stretch.partition,
                        off,
                        first,
                        after,
                        detail=detail,
                        correctable=True,
                    )
                )
        lines.append(Line("parts", scope.log, stretch.partition, stretch.ranges, stretch.read, tuple(findings)))
    return lines, unequal

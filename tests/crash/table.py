"""In: results of groups. Out: the table that `make crash` prints, and the same as plain values for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tests.crash.matrix import Result

_FIGURES = ("lost", "doubled", "wrong", "missing", "repeated")


def table_of(results: Sequence[Result]) -> Table:
    """One row per fault; what was found stands in the first row of each group, which is judged as a whole."""
    table = Table(title="What was done, and what it did to the figures")
    table.add_column("fault")
    for name in ("times", "events", "lost", "doubled", "wrong totals"):
        table.add_column(name, justify="right")
    for name in ("alerts missing", "alerts repeated", "residual"):
        table.add_column(name, justify="right", max_width=9)
    for result in results:
        figures = [f"{result.events:,}", *(str(len(getattr(result.findings, name))) for name in _FIGURES)]
        figures.append("n/a" if result.residual is None else str(result.residual))
        for number, (fault, times) in enumerate(sorted(result.faults.items())):
            table.add_row(fault, str(times), *(figures if number == 0 else ["″"] * len(figures)))
        table.add_section()
    total = sum(sum(result.faults.values()) for result in results)
    sums = [str(sum(len(getattr(result.findings, name)) for result in results)) for name in _FIGURES]
    table.add_row("all", str(total), f"{sum(result.events for result in results):,}", *sums, _residual(results))
    return table


def _residual(results: Sequence[Result]) -> str:
    known = [result.residual for result in results if result.residual is not None]
    return str(sum(known)) if known else "n/a"


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "group": result.group.name,
            "says": result.group.says,
            "faults": result.faults,
            "events": result.events,
            **{name: getattr(result.findings, name) for name in _FIGURES},
            "failures": list(result.failures),
            "residual": result.residual,
            "ended_by_themselves": [asdict(one) for one in result.ended],
            "seconds": round(result.seconds, 1),
        }
        for result in results
    ]

"""In: the report. Out: the same for a person: figures, budgets, incidents beside their alerts, three answers, what to
try next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from streamgauge.cli.budgets import BUDGET_COLUMNS, budget_row
from streamgauge.cli.output import cell, moment, print_table

if TYPE_CHECKING:
    from streamgauge.demo.report import Report

_BUDGETS_SHOWN: Final = 8

_NEXT: Final = """\
Try next:
  streamgauge up                                  the same house, kept open: Kafka on 9092, ClickHouse on 8123
  streamgauge apply FOLDER                        your own teams, budgets and prices
  streamgauge replay TRACE --format azure-llm     a trace of real calls
  streamgauge query "SELECT * FROM cost_per_outcome"
  streamgauge alerts --follow                     and see one fire"""


def tell(report: Report) -> None:
    """Print the whole report."""
    seen = report.seen
    typer.echo(f"\nA month in {report.seconds:.0f} seconds (seed {report.seed})\n")
    typer.echo(f"  {report.sent:>9,}  events sent")
    typer.echo(f"  {seen.enriched:>9,}  enriched")
    typer.echo(f"  {seen.duplicates:>9,}  duplicate: sent twice, counted once")
    typer.echo(f"  {seen.rejected:>9,}  rejected, each with a reason")
    typer.echo(f"  {report.rows:>9,}  rows in ClickHouse")
    print_table(
        BUDGET_COLUMNS,
        [budget_row(status) for status in report.budgets[:_BUDGETS_SHOWN]],
        title="\nBudgets, fullest first",
        whole=("budget", "period"),
    )
    print_table(
        [("planted", "left"), ("team", "left"), ("at (UTC)", "left"), ("alert that caught it", "left"), ("at", "left")],
        [
            (
                one.incident.name,
                one.incident.team,
                moment(one.incident.expected_at),
                one.alert.summary if one.alert else "none",
                moment(one.alert.occurred_at) if one.alert else "",
            )
            for one in report.matching.incidents
        ],
        title="What was planted, and what caught it",
        whole=("at (UTC)", "at"),
    )
    for alert in report.matching.unplanted:
        typer.echo(f"  a page that nobody planted: {moment(alert.occurred_at)} {alert.summary}")
    for question in report.questions:
        print_table(
            [(name, "left" if place == 0 else "right") for place, name in enumerate(question.answer.columns)],
            [[cell(value) for value in row] for row in question.answer.rows],
            title=question.title,
        )
    typer.echo(_NEXT)

"""In: the report. Out: the same for a person: figures, budgets, incidents beside their alerts, three answers, what to
try next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from streamgauge.alerts.reading import Story, fold, short
from streamgauge.alerts.story_text import story_lines
from streamgauge.cli.budgets import BUDGET_COLUMNS, budget_row
from streamgauge.cli.output import cell, console, moment, print_table

if TYPE_CHECKING:
    from streamgauge.demo.matching import Matched
    from streamgauge.demo.report import Report

_BUDGETS_SHOWN: Final = 8

#: Where `story_lines` goes on with what was told and with queries, which are long.
_AFTERWARDS: Final = "What was told (UTC)"

_NEXT: Final = """\
Try next:
  streamgauge up                                  the same house, kept open: Kafka on 9092, ClickHouse on 8123
  streamgauge apply FOLDER                        your own teams, budgets and prices
  streamgauge replay TRACE --format azure-llm     a trace of real calls
  streamgauge query "SELECT * FROM cost_per_outcome"
  streamgauge alerts --follow                     and see one fire
  streamgauge alerts show ID                      all that is known of it: causes, carriers, what to do, whose it is
  streamgauge alerts expected ID                  it is known: quiet until it is over (also: ack, noise)"""


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
        [
            ("planted", "left"),
            ("team", "left"),
            ("at (UTC)", "left"),
            ("its alert says", "left"),
            ("because", "left"),
            ("page", "left"),
        ],
        [_caught(one) for one in report.matching.incidents],
        title="What was planted, and what caught it",
        whole=("planted", "team", "at (UTC)", "page"),
    )
    for alert in report.matching.unplanted:
        typer.echo(f"  a page that nobody planted: {moment(alert.occurred_at)} {alert.summary}")
    for question in report.questions:
        print_table(
            [(name, "left" if place == 0 else "right") for place, name in enumerate(question.answer.columns)],
            [[cell(value) for value in row] for row in question.answer.rows],
            title=question.title,
        )
    _show_one(report)
    typer.echo(_NEXT)


def _caught(one: Matched) -> tuple[str, ...]:
    incident, told = one.incident, one.told
    planted = (incident.name, incident.team, moment(incident.expected_at))
    if one.alert is None or told is None:
        return (*planted, "nothing: nobody noticed", "", "")
    if told.incident is None:
        return (*planted, f"{told.kind}: {told.level} level", told.summary, "yes" if one.alert.pages else "no")
    named = (told.incident if told.activity is None else f"planned: {told.activity}").replace("_", " ")
    because = [cause.label for cause in told.explanation[:1]]
    # The use case is in most cases the alert's own.
    because += [cause.label for cause in told.carried_by if cause.dimension != "use_case"][:1]
    if told.behind is not None:
        because.append(told.behind)
    return (*planted, named, "; ".join(because), "yes" if one.alert.pages else "no")


def _show_one(report: Report) -> None:
    """One spike as `streamgauge alerts show` printed it while it went on: one of which most is known."""
    told = [one.told for one in report.matching.incidents if one.told is not None and one.told.explanation]
    if not told:
        return
    most = max(told, key=lambda alert: (len(alert.carried_by), alert.impact or 0, alert.alert_id))
    states = fold(report.seen.alerts)[most.alert_id].states
    typer.echo(f"One of them, as `streamgauge alerts show {short(most.alert_id)}` begins while it goes on:\n")
    story = Story(tuple(state for state in states if state.revision <= most.revision))
    for line in story_lines(story, None, console().width - 2):
        if line == _AFTERWARDS:
            break
        typer.echo(f"  {line}" if line else "")

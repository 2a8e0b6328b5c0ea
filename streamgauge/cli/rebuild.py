"""`streamgauge rebuild`: the agents' totals, budgets and alert state, when `usage.state` is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from streamgauge.rebuilding import PartitionReport


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "rebuild",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge rebuild --dry-run", "streamgauge rebuild", "streamgauge rebuild --all --without-history"
        ),
    )(command)


def command(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also partitions whose state looks whole: theirs is thrown away.")
    ] = False,
    without_history: Annotated[
        bool,
        typer.Option(
            "--without-history",
            help="Do not ask ClickHouse for what lies before the retained tallies: budgets stay unknown for it.",
        ),
    ] = False,
    accept_differences: Annotated[
        bool,
        typer.Option(
            "--accept-differences",
            help="Go on where ClickHouse and its ledger differ in what `reconcile --correct` could not mend.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Restore totals, budgets and alert state of the agents.

    From the tallies that Kafka still holds, ClickHouse for what lies before them, adjustments, and the alerts and
    statuses that were told: none of them is told again. Stop all agents first. After a crash run it again.
    """
    from streamgauge.cli.output import emit_json
    from streamgauge.cli.progress import counting
    from streamgauge.rebuilding import rebuild_agents

    settings = settings_of(context)
    with counting("tally messages", quiet=json) as progress:
        reports = rebuild_agents(
            settings,
            dry_run=dry_run,
            every=every,
            without_history=without_history,
            accept_differences=accept_differences,
            progress=progress,
        )
    if json:
        emit_json([report.as_json() for report in reports])
    else:
        _tell(reports, dry_run)


def _tell(reports: list[PartitionReport], dry_run: bool) -> None:
    from streamgauge.cli.output import print_table

    if not reports:
        typer.echo("Nothing to rebuild: the state of every partition is whole. (--all rebuilds it all the same.)")
        return
    print_table(
        (
            ("partition", "right"),
            ("why", "left"),
            ("tallies", "right"),
            ("teams", "right"),
            ("budgets", "right"),
            ("missing alerts", "right"),
            ("before them", "left"),
        ),
        [report.as_row() for report in reports],
    )
    for warning in warnings(reports):
        typer.echo(warning, err=True)
    done = "would be rebuilt" if dry_run else "rebuilt"
    typer.echo(f"{len(reports)} partitions {done}." + ("" if dry_run else " Start the agents again."))


def warnings(reports: list[PartitionReport]) -> list[str]:
    """What the rebuilt totals lack. Every partition asks about the same events, up to offsets that differ a little."""
    said = []
    events, nanousd = max(report.rebuilt.refused for report in reports)
    if events:
        said.append(
            f"Warning: ClickHouse had refused {events:,} events ({nanousd / 10**9:,.2f} USD) of those it answered for: "
            "the agents had counted them, the rebuilt totals have not. "
            "`streamgauge rejected list --code refused_by_clickhouse` names them."
        )
    uneven = max(report.rebuilt.uneven for report in reports)
    if uneven:
        said.append(
            f"Warning: ClickHouse is off by {uneven:,} events, which was accepted: do not correct them any more, the "
            "agents would take them away twice."
        )
    return said

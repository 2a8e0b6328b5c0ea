"""`streamgauge apply FILE…`: what people decided, into force; all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "apply",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge apply governance/",
            "streamgauge apply --dry-run directory.yaml budgets.yaml",
            "streamgauge apply --prune governance/ --json",
        ),
    )(command)


def command(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Also delete what is in force but no longer in the files, of the kinds they have."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Check and publish the directory, use cases, model catalogue, budgets and prices.

    Errors name file, line and field, and nothing is applied if anything is wrong. Running workers take it up at once.
    """
    from runtime.control_log import ControlLog
    from streamgauge.apply import load_files, make_plan, publish_plan
    from streamgauge.cli.output import emit_json, print_table
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, reveal, topic_names

    settings = settings_of(context)
    key = reveal(settings.enrich.user_key)
    loaded = load_files(files, key.encode() if key is not None else None)
    connection, topics = kafka_connection(settings), topic_names(settings)
    reach_kafka(connection)
    log = ControlLog(connection, topics.control)
    try:
        plan = make_plan(loaded, log.read_to_end(), prune=prune)
    finally:
        log.close()
    if not dry_run:
        publish_plan(plan, connection, topics)
    if json:
        emit_json(
            {
                "applied": not dry_run,
                "changes": [{"action": change.action, "record": change.key} for change in plan.changes],
                "unchanged": plan.unchanged,
                "unmanaged": plan.unmanaged,
            }
        )
        return
    if plan.changes:
        print_table([("", "left"), ("record", "left")], [(change.action, change.key) for change in plan.changes])
    if any(change.action == "create" and change.key.startswith("budget/") for change in plan.changes):
        typer.echo("A new budget is `unknown` until its next period where usage of the running one has already passed.")
    done = "would change" if dry_run else "changed"
    rest = f", {plan.unmanaged} in force but not in these files (--prune deletes them)" if plan.unmanaged else ""
    typer.echo(f"{len(plan.changes)} {done}, {plan.unchanged} as before{rest}.")

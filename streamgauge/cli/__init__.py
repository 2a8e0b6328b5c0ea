"""The command line: one file per command, and nothing heavy imported before a command runs, so that `--help` is fast.

`face` turns known errors into one sentence and exit code 1 · `output` tables for people, JSON for scripts ·
`options` what all commands share · `role` what `enrich`, `agents` and `sink` share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamgauge.cli import (
    agents,
    alerts,
    apply,
    backfill,
    budgets,
    check,
    demo,
    detect,
    doctor,
    enrich,
    exceptions,
    forward,
    governance,
    offsets,
    query,
    rebuild,
    reconcile,
    rejected,
    replay,
    reprice,
    schemas,
    sink,
    topics,
    up,
)
from streamgauge.cli.face import Face
from streamgauge.cli.options import flowing_help

app = typer.Typer(
    name="streamgauge",
    cls=Face,
    help="What every team's AI calls cost, what came of it, and one explained alert when something rises.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        typer.echo(f"streamgauge {installed('streamgauge')}")
    except PackageNotFoundError:
        typer.echo("streamgauge (not installed as a package)")
    raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="Settings file; otherwise STREAMGAUGE_CONFIG or ./streamgauge.toml.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001  its callback acts
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    context.obj = config


_TRY, _RUN, _STEER, _ASK = "Try it", "Run a role", "Set it up", "Ask"
demo.add(app, _TRY)
up.add(app, _TRY)
replay.add(app, _TRY)
enrich.add(app, _RUN)
agents.add(app, _RUN)
sink.add(app, _RUN)
check.add(app, _RUN)
forward.add(app, _RUN)
topics.add(app, _STEER)
offsets.add(app, _STEER)
schemas.add(app, _STEER)
apply.add(app, _STEER)
doctor.add(app, _STEER)
backfill.add(app, _STEER)
rejected.add(app, _STEER)
reprice.add(app, _STEER)
rebuild.add(app, _STEER)
alerts.add(app, _ASK)
budgets.add(app, _ASK)
exceptions.add(app, _STEER)
governance.add(app, _ASK)
query.add(app, _ASK)
detect.add(app, _ASK)
reconcile.add(app, _ASK)
flowing_help(app)

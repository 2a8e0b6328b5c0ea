"""`streamgauge doctor`: is everything in place, and what to do if not."""

from __future__ import annotations

from typing import Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "doctor",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge doctor",
            "streamgauge --config prod.toml doctor --json",
            "streamgauge doctor --probe http://enrich-1:9101",
        ),
    )(command)


def command(
    context: typer.Context,
    probe: Annotated[
        list[str] | None,
        typer.Option(help="http://HOST:PORT of a worker: ask its /live and /ready too.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Check that Kafka, the registry and ClickHouse answer, that topics, tables and state are in place, and that
    workers run and keep up.

    Exits 1 if anything failed.
    """
    from dataclasses import asdict
    from itertools import chain

    from streamgauge.checks import examine
    from streamgauge.checks_running import probe as probe_worker
    from streamgauge.cli.output import emit_json

    settings = settings_of(context)
    findings = []
    for finding in chain(examine(settings), (probe_worker(url) for url in probe or ())):
        findings.append(finding)
        if not json:
            _tell(finding.check, finding.state, finding.found, finding.advice)
    if json:
        emit_json([asdict(finding) for finding in findings])
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


def _tell(check: str, state: str, found: str, advice: str) -> None:
    color = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "failed": typer.colors.RED}.get(state)
    typer.echo(f"{typer.style(f'{state:<8}', fg=color)}  {check:<16}  {found}")
    if advice:
        typer.echo(f"{'':<8}  {'':<16}  → {advice}")

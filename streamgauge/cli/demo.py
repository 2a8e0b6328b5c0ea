"""`streamgauge demo`: a month of a company that does not exist, in two minutes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from streamgauge.cli.options import examples


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "demo",
        rich_help_panel=panel,
        epilog=examples("streamgauge demo", "streamgauge demo --report report.json", "streamgauge demo --seed 7"),
    )(command)


def command(
    report: Annotated[
        Path | None, typer.Option("--report", help="Also write the report as JSON to this file.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the fleet: another seed, another month.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=0, max=3_600, help="Over how long to send them; 0: as fast as it goes.")
    ] = 75.0,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON instead of text for people.")] = False,
) -> None:
    """Start a house of its own, send it a month of seeded usage with planted incidents, and compare what it found.

    Touches nothing that runs: ports are free ones, data lie in a temporary folder. Exits 0 only if every event is
    accounted for, every planted incident has its alert, which names it, and at most two pages match nothing.
    """
    from streamgauge.cli.output import emit_json
    from streamgauge.demo.story import DemoPlan, run_demo
    from streamgauge.demo.telling import tell
    from streamgauge.demo.view import LiveView, PlainView, SilentView

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # As Ctrl-C does, so that SIGTERM also leaves nothing behind.
    signal.signal(signal.SIGTERM, stop)
    if report is not None:
        # A report that cannot be written is worth knowing before, not after.
        report.touch()
    with SilentView() if json else LiveView() if sys.stdout.isatty() else PlainView() as view:
        found = run_demo(DemoPlan(seed=seed, send_s=seconds), view)
    if report is not None:
        import json as json_module

        report.write_text(json_module.dumps(found.as_json(), indent=2, default=str) + "\n", encoding="utf-8")
    if json:
        emit_json(found.as_json())
    else:
        tell(found)
    failures = found.failures()
    for failure in failures:
        typer.echo(f"streamgauge: {failure}", err=True)
    if failures:
        raise typer.Exit(1)

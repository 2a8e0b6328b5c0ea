"""`streamgauge reconcile`: whether nothing was lost and nothing counted twice, and where if not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.output import Align

if TYPE_CHECKING:
    from sinks.reconcile.findings import Finding, Line, Report
    from streamgauge.reconciling import Corrected
    from streamgauge.settings import Settings

_DAY_S: Final = 86_400
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": _DAY_S}
#: Exit codes: figures that do not add up, and figures that could not be had.
RESIDUAL: Final = 1
NOT_ASKED: Final = 2

_COLUMNS: Final[tuple[tuple[str, Align], ...]] = (
    ("check", "left"),
    ("partition", "right"),
    ("judged", "right"),
    ("events", "right"),
    ("residual", "right"),
    ("where", "left"),
)
_WHAT: Final = {
    "chain": "chain: ranges without holes",
    "parts": "parts: read = enriched + duplicates + rejected",
    "rows": "rows: ledger = rows and sums",
    "rejected": "rejected: ledger = records",
    "agents": "agents: budgets = rows + adjustments",
}


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "reconcile",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge reconcile",
            "streamgauge reconcile --since 10m --json",
            "streamgauge reconcile --all --correct",
        ),
    )(command)


def command(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(help="How far back in broker time: 10m, 24h, 7d; otherwise a day.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is kept.")] = False,
    correct: Annotated[
        bool,
        typer.Option("--correct", help="Put back what was lost, and take out of budgets what was counted twice."),
    ] = False,
    json: Json = False,
) -> None:
    """Hold the ledger, the rows, refused events and the totals of budgets against each other.

    Ends with 0 only when nothing is left over, with 1 when figures do not add up, with 2 when they could not be had.
    """
    if since is not None and everything:
        raise typer.BadParameter("give either --since or --all")
    seconds = None if everything else _DAY_S if since is None else _seconds(since)
    from streamgauge.cli.face import explain

    try:
        report, corrected = _run(settings_of(context), seconds, correct)
    except Exception as error:  # noqa: BLE001 - whatever it is, 1 would say that figures do not add up
        sentence = explain(error)
        if sentence is None:
            import traceback

            traceback.print_exc()
            raise typer.Exit(NOT_ASKED) from None
        typer.echo(f"streamgauge: {sentence}", err=True)
        raise typer.Exit(NOT_ASKED) from None
    if json:
        from streamgauge.cli.output import emit_json

        emit_json(as_json(report, corrected))
    else:
        show(report, corrected)
    if report.residual:
        raise typer.Exit(RESIDUAL)


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"--since is {text!r}: give a number and s, m, h or d, such as 10m")
    return int(match[1]) * _UNITS_S[match[2]]


def _run(settings: Settings, seconds: int | None, correct: bool) -> tuple[Report, Corrected | None]:
    from runtime.clock import SystemClock
    from streamgauge.asking import open_database
    from streamgauge.reach import reach_kafka
    from streamgauge.reconciling import Reconciling
    from streamgauge.settings.convert import clickhouse_target, kafka_connection, sink_config, topic_names

    clock, connection, topics = SystemClock(), kafka_connection(settings), topic_names(settings)
    reach_kafka(connection)
    since_us = None if seconds is None else clock.now_us() - seconds * 1_000_000
    quick = seconds is not None and seconds < _DAY_S
    # Only a correction needs more than an analyst's rights.
    with open_database(clickhouse_target(settings, analyst=not correct)) as database:
        group = f"{topics.prefix}{sink_config(settings).group}.records"
        reconciling = Reconciling(database, connection, topics, clock, group, lambda text: typer.echo(text, err=True))
        if not correct:
            return reconciling.judge(since_us, quick=quick).report, None
        judged, corrected = reconciling.correct(since_us, quick=quick)
        return judged.report, corrected


def show(report: Report, corrected: Corrected | None = None) -> None:
    """Tables and sentences for people, at 100 columns."""
    from streamgauge.cli.output import print_table

    present = report.lines[0].log if report.lines else ""
    print_table(
        _COLUMNS,
        [
            (
                line.check if line.log == present else f"{line.check} (earlier log)",
                "" if line.partition is None else str(line.partition),
                f"{line.judged:,}",
                f"{line.events:,}",
                f"{line.residual:,}",
                _where(line),
            )
            for line in report.lines
        ],
    )
    from sinks.reconcile.findings import ADVICE

    for kind in dict.fromkeys(finding.kind for finding in report.findings):
        alike = [finding for finding in report.findings if finding.kind == kind]
        typer.echo(f"{kind}: {sum(one.events for one in alike):,}. {ADVICE[kind]}")
        for finding in alike[:10]:
            typer.echo(f"  {_sentence(finding)}")
        if len(alike) > 10:
            typer.echo(f"  and {len(alike) - 10:,} more: --json has them all")
    for note in report.notes:
        typer.echo(f"note: {note}")
    if corrected is not None:
        mended = corrected.mended
        back = f"{mended.events:,} rows, {mended.ranges:,} ledger rows, {mended.rejections:,} records of refused events"
        typer.echo(f"Put back: {back}. Taken out of totals and budgets: {corrected.resends:,} resends.")
    typer.echo(_conclusion(report))


def _conclusion(report: Report) -> str:
    if report.residual:
        kinds = dict.fromkeys(finding.kind for finding in report.findings)
        return f"Residual {report.residual:,}: {', '.join(kinds)}."
    ranges = sum(line.judged for line in report.lines if line.check == "rows")
    events = sum(line.events for line in report.lines if line.check == "parts")
    budgets = sum(line.judged for line in report.lines if line.check == "agents")
    return f"Residual 0: {events:,} events in {ranges:,} ranges and {budgets:,} budgets add up."


def _where(line: Line) -> str:
    """The first places of what was found."""
    named = [finding.budget or "" for finding in line.findings if finding.budget is not None]
    for finding in line.findings:
        if finding.positions:
            named += [str(offset) for offset, _ in finding.positions]
        elif finding.first is not None:
            named.append(str(finding.first))
    return ", ".join(named[:3]) + (", …" if len(named) > 3 else "")


def _sentence(finding: Finding) -> str:
    """One finding on one line: its place, its events, what else is known."""
    if finding.budget is not None:
        return f"budget {finding.budget}: {finding.detail}"
    text = f"partition {finding.partition}, offsets [{finding.first}, {finding.next}): {finding.events:,}"
    if finding.positions:
        shown = ", ".join(f"{offset}.{index}" if index else str(offset) for offset, index in finding.positions[:5])
        text += f" at {shown}{', …' if finding.events > 5 else ''}"
    return f"{text}; {finding.detail}" if finding.detail else text


def as_json(report: Report, corrected: Corrected | None = None) -> dict[str, Any]:
    """All of it, for scripts."""
    from dataclasses import asdict

    found: dict[str, Any] = {
        "residual": report.residual,
        "checks": [asdict(line) | {"residual": line.residual} for line in report.lines],
        "notes": list(report.notes),
    }
    return found if corrected is None else found | {"corrected": asdict(corrected)}

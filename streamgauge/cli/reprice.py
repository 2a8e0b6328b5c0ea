"""`streamgauge reprice --since DATE`: prices that came later, as dated adjustments to ClickHouse and budgets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from streamgauge.adjusting.reprice import Report, Reprice
    from streamgauge.settings import Settings

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "reprice",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge reprice --since 2026-11-01 --dry-run",
            "streamgauge reprice --since 2026-11-01 --model 'our-model*' --yes",
            "streamgauge reprice --since 2026-11-01 --model gpt-5 --again --reason 'contract of 12 November' --yes",
        ),
    )(command)


def command(
    context: typer.Context,
    since: Annotated[datetime, typer.Option(formats=_DATES, help="First day of event time, UTC.", show_default=False)],
    until: Annotated[
        datetime | None, typer.Option(formats=_DATES, help="First day that is left alone; otherwise all after --since.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="One model, or the beginning of its name and *; otherwise all.", show_default=False),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Also events that have a price already, where another holds now. With --model."),
    ] = False,
    closed_before: Annotated[
        datetime | None,
        typer.Option(
            formats=_DATES, help="Months before this are closed; otherwise those before the current one, UTC."
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why, in a sentence: it stands on the adjustment.")
    ] = "a price came later",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    json: Json = False,
) -> None:
    """Give events that had no price the one that holds now at their own date.

    What is written stays as it is: the difference is booked beside it, in ClickHouse and in budgets, once, whatever
    dies meanwhile. An event of the current month is booked at its own time, and releases what USD budgets held in its
    place; an event of a closed month is booked now.
    """
    import sys

    if again and model is None:
        raise typer.BadParameter("--again looks at every event: say of which model with --model")
    if json and not (yes or dry_run):
        raise typer.BadParameter("--json cannot ask: give --yes, or --dry-run to only look")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: give --yes, or --dry-run to only look")
    from streamgauge.cli.output import emit_json

    settings = settings_of(context)
    command = _reprice(since, until, model, again, closed_before, reason)
    report = _look(settings, command) if not yes else None
    if report is not None and not json:
        _print(report, written=False)
    if not dry_run and (report is None or report.events):
        if report is not None and not typer.confirm("Write this?"):
            raise typer.Exit(1)
        report = _write(settings, command, quiet=json)
        if not json:
            _print(report, written=True)
    assert report is not None
    if json:
        emit_json(_as_json(report, written=not dry_run))


def _reprice(
    since: datetime,
    until: datetime | None,
    model: str | None,
    again: bool,
    closed_before: datetime | None,
    reason: str,
) -> Reprice:
    import getpass
    from datetime import timedelta

    from schemas.control.base import moment_us
    from sinks.corrections.adjustments import Wanted
    from streamgauge.adjusting.deltas import Booking
    from streamgauge.adjusting.reprice import Reprice, first_of_month

    now = datetime.now(UTC)
    start = since.replace(tzinfo=UTC)
    # Events may be a day ahead of the broker's clock.
    end = until.replace(tzinfo=UTC) if until is not None else now + timedelta(days=2)
    if end <= start:
        raise typer.BadParameter(f"there is nothing between --since {start:%Y-%m-%d} and {end:%Y-%m-%d}")
    closed = closed_before.replace(tzinfo=UTC) if closed_before is not None else first_of_month(now)
    try:
        made_by = getpass.getuser()
    except (OSError, KeyError):
        made_by = "unknown"
    return Reprice(Wanted(start, end, model, again), Booking(moment_us(now), moment_us(closed)), reason, made_by)


def _look(settings: Settings, command: Reprice) -> Report:
    from streamgauge.asking import open_database
    from streamgauge.settings.convert import clickhouse_target

    with open_database(clickhouse_target(settings, analyst=True)) as database:
        return command.look(database, *_prices(settings))


def _write(settings: Settings, command: Reprice, *, quiet: bool) -> Report:
    from runtime.clock import SystemClock
    from streamgauge.adjusting import AdjustmentWriter, wait_until_written
    from streamgauge.asking import open_database
    from streamgauge.settings.convert import clickhouse_target, kafka_connection, topic_names

    def tell(sentence: str) -> None:
        typer.echo(sentence, err=quiet)

    prices = _prices(settings)
    with (
        # As the sink's user: what is booked for budgets of one person needs hashes that analysts may not read.
        open_database(clickhouse_target(settings)) as database,
        AdjustmentWriter(kafka_connection(settings), topic_names(settings)) as writer,
    ):
        wait_until_written(writer, database, SystemClock(), tell)
        return command.write(
            database, *prices, writer, lambda adjustment, events: tell(f"Written: {adjustment}, {_counted(events)}.")
        )


def _prices(settings: Settings) -> tuple[Any, Any]:
    """The control documents in force, and what unpriced calls are held to cost."""
    from runtime.control_log import ControlLog
    from schemas.prices.card import Provisional
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    connection = kafka_connection(settings)
    reach_kafka(connection)
    log = ControlLog(connection, topic_names(settings).control)
    try:
        snapshot = log.read_to_end()
    finally:
        log.close()
    enrich = settings.enrich
    return snapshot, Provisional(enrich.provisional_input_usd_per_mtok, enrich.provisional_output_usd_per_mtok)


def exact_usd(nanousd: int) -> str:
    """Dollars with cents, and with what is below a cent where there is any: `$1,234.50`, `$0.003`."""
    dollars, nano = divmod(abs(nanousd), 1_000_000_000)
    cents, below = divmod(nano, 10_000_000)
    return f"{'-' if nanousd < 0 else ''}${dollars:,}.{cents:02d}{f'{below:07d}'.rstrip('0')}"


def _counted(events: int) -> str:
    return f"{events:,} event{'' if events == 1 else 's'}"


def _print(report: Report, *, written: bool) -> None:
    from streamgauge.cli.output import print_table

    if not report.events:
        typer.echo(f"Nothing to price: no event in question has a price by {report.rate_card} that it did not have.")
        return
    print_table(
        (
            ("month", "left"),
            ("model", "left"),
            ("events", "right"),
            ("teams", "right"),
            ("released", "right"),
            ("cost", "right"),
            ("booked", "left"),
        ),
        [
            (
                f"{line.month:%Y-%m}",
                line.model,
                f"{one.events:,}",
                str(len(one.teams)),
                exact_usd(one.released),
                exact_usd(one.cost),
                "now: the month is closed" if line.is_closed else "at their own time",
            )
            for line, one in sorted(report.lines.items())
        ],
        whole=("month", "events", "cost"),
    )
    verb = ("is" if report.events == 1 else "are") if written else "would be"
    typer.echo(
        f"{_counted(report.events)} {verb} priced by {report.rate_card}: {exact_usd(report.cost)}. "
        "Released: what USD budgets held in their place."
    )


def _as_json(report: Report, *, written: bool) -> dict[str, Any]:
    return {
        "written": written,
        "rate_card": report.rate_card,
        "events": report.events,
        "cost_nanousd": report.cost,
        "adjustments": report.adjustments,
        "lines": [
            {
                "month": f"{line.month:%Y-%m}",
                "model": line.model,
                "closed": line.is_closed,
                "events": one.events,
                "teams": sorted(team for team in one.teams if team is not None),
                "unattributed": None in one.teams,
                "released_nanousd": one.released,
                "cost_nanousd": one.cost,
            }
            for line, one in sorted(report.lines.items())
        ],
    }

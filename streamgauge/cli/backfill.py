"""`streamgauge backfill`: fill a ClickHouse that lost its data with all that Kafka still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from sinks.recovery.holdings import Held, Holdings


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "backfill",
        rich_help_panel=panel,
        epilog=examples("streamgauge backfill --dry-run", "streamgauge backfill", "streamgauge backfill --json"),
    )(command)


def command(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what Kafka still holds and what is lost; change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Fill ClickHouse from Kafka after its data was lost, in whole or in part, while no sink runs.

    What Kafka no longer holds is named. Run it as often as you like: nothing is counted twice.
    """
    import signal
    import threading

    from runtime.clock import SystemClock
    from runtime.logs import configure_logs
    from sinks.recovery.backfill import Backfill
    from streamgauge.cli.output import emit_json
    from streamgauge.cli.progress import counting
    from streamgauge.cli.role import schema_source
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import clickhouse_target, kafka_connection, sink_config, topic_names

    settings = settings_of(context)
    # On standard error, and of the sink's own steps only what somebody should know.
    configure_logs("WARNING", settings.logs.form)
    connection = kafka_connection(settings)
    reach_kafka(connection)
    backfill = Backfill(
        sink_config(settings),
        connection,
        topic_names(settings),
        clickhouse_target(settings),
        SystemClock(),
        schema_source(settings),
    )
    if dry_run:
        found = backfill.holdings()
        if json:
            emit_json(_as_json(found))
        else:
            _tell(found)
        return
    halt = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: halt.set())
    with counting("messages", quiet=json) as report:
        found = backfill.run(halt, report)
    if halt.is_set():
        typer.echo("stopped; `streamgauge backfill` or `streamgauge sink` goes on from here", err=True)
        raise typer.Exit(130)
    if json:
        emit_json(_as_json(found))
        return
    _tell(found)
    typer.echo("ClickHouse has all of it again. Start the sink, and let `streamgauge reconcile` prove it.")


def _tell(found: Holdings) -> None:
    from streamgauge.cli.output import instant, print_table

    if found.missing_tables:
        typer.echo(f"not in ClickHouse: {', '.join(found.missing_tables)}")
    rows = [(one.held, "read again" if one.rows_missing else "", one.lost or "") for one in found.events]
    rows += [(one, "", _before(one)) for one in found.records]
    print_table(
        [
            ("topic", "left"),
            ("partition", "right"),
            ("begins at", "right"),
            ("end", "right"),
            ("oldest", "left"),
            ("", "left"),
            ("Kafka cannot give back", "left"),
        ],
        [
            (
                held.place.topic,
                str(held.place.partition),
                str(held.low),
                str(held.end),
                "" if held.since is None else instant(held.since),
                again,
                lost,
            )
            for held, again, lost in rows
        ],
    )


def _before(held: Held) -> str:
    return f"offsets 0 to {held.low - 1}" if held.low else ""


def _as_json(found: Holdings) -> dict[str, Any]:
    def of(held: Held) -> dict[str, Any]:
        return {
            "topic": held.place.topic,
            "partition": held.place.partition,
            "low": held.low,
            "end": held.end,
            "oldest": held.since,
        }

    return {
        "missing_tables": list(found.missing_tables),
        "events": [
            of(one.held)
            | {
                "first": one.first,
                "ledger_reaches": one.applied,
                "rows_expected": one.expected,
                "rows": one.rows,
                "read_again": one.rows_missing,
                "lost": one.lost,
            }
            for one in found.events
        ],
        "records": [of(one) | {"lost": _before(one) or None} for one in found.records],
    }

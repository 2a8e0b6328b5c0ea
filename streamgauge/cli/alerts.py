"""`streamgauge alerts`: what was raised and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.alerts import Alert
    from streamgauge.settings import Settings


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "alerts",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge alerts", "streamgauge alerts --follow --team search", "streamgauge alerts --json | jq .summary"
        ),
    )(command)


def command(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on and print alerts as they come, until Ctrl-C.")
    ] = False,
    team: Annotated[str | None, typer.Option(help="Of one team only.", show_default=False)] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every state change, and alerts about replayed old time.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the newest state of each alert; with --json one object a line, every state change."""
    from streamgauge.cli.output import emit_line, moment, print_table

    found = (alert for alert in _read(settings_of(context), follow) if team is None or alert.scope.team == team)
    if json:
        for alert in found:
            emit_line(alert.model_dump(mode="json"))
        return
    if follow:
        for alert in (one for one in found if history or not one.historical):
            typer.echo(
                f"{moment(alert.occurred_at)}  {alert.state:<8}  {alert.severity:<8}  "
                f"{alert.scope.team or '-':<16}  {alert.summary}"
            )
        return
    every = list(found)
    newest = every if history else list({one.alert_id: one for one in every if not one.historical}.values())
    hidden = 0 if history else len({one.alert_id for one in every if one.historical})
    newest.sort(key=lambda alert: alert.occurred_at)
    if not newest:
        typer.echo(f"No alerts.{_of_old_time(hidden)}")
        return
    print_table(
        [("event time (UTC)", "left"), ("state", "left"), ("severity", "left"), ("team", "left"), ("what", "left")],
        [
            (moment(alert.occurred_at), alert.state, alert.severity, alert.scope.team or "", alert.summary)
            for alert in newest
        ],
    )
    if hidden:
        typer.echo(_of_old_time(hidden).strip())


def _of_old_time(count: int) -> str:
    """What a replay raised is not shown unasked, but its being there is."""
    return f" {count} more about replayed old time: --history shows them." if count else ""


def _read(settings: Settings, follow: bool) -> Iterator[Alert]:
    from pydantic import ValidationError

    from schemas.alerts import Alert
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names
    from streamgauge.tail import read_topic

    connection = kafka_connection(settings)
    reach_kafka(connection)
    for record in read_topic(connection, topic_names(settings).alerts, follow=follow):
        if record.value is None:
            continue
        try:
            yield Alert.model_validate_json(record.value)
        except ValidationError as error:
            # One record that this version cannot read must not hide the others.
            typer.echo(
                f"streamgauge: alert at offset {record.offset} cannot be read: {error.errors()[0]['msg']}", err=True
            )

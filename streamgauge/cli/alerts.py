"""`streamgauge alerts`: what was raised and what came of it; one alert whole, what people say of it, and how precise
alerts are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.alerts_precision import precision_command
from streamgauge.cli.alerts_saying import ack_command, expected_command, noise_command
from streamgauge.cli.alerts_show import show_command
from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.alerts import Alert
    from streamgauge.alerts.reading import Story
    from streamgauge.settings import Settings


def add(app: typer.Typer, panel: str) -> None:
    group = typer.Typer(
        invoke_without_command=True,
        help="What was raised and what came of it; one alert whole; what people say of it.",
        epilog=examples(
            "streamgauge alerts --open",
            "streamgauge alerts --follow --team search",
            "streamgauge alerts show spike-1f2e3d4c",
            "streamgauge alerts --json | jq .summary",
        ),
    )
    group.callback()(command)
    group.command(
        "show",
        epilog=examples(
            "streamgauge alerts show spike-1f2e3d4c",
            "streamgauge alerts show spike-1f2e3d4c --markdown > postmortem.md",
        ),
    )(show_command)
    group.command(
        "ack",
        epilog=examples("streamgauge alerts ack spike-1f2e3d4c --note 'rolling the deploy back'"),
    )(ack_command)
    group.command(
        "expected",
        epilog=examples("streamgauge alerts expected spike-1f2e3d4c --note 'load test until noon' --wait"),
    )(expected_command)
    group.command(
        "noise",
        epilog=examples(
            "streamgauge alerts noise spike-1f2e3d4c --note 'a new customer, nothing wrong'",
            "streamgauge alerts noise spike-1f2e3d4c --clear",
        ),
    )(noise_command)
    group.command(
        "precision",
        epilog=examples(
            "streamgauge alerts precision", "streamgauge alerts precision --by team --by week --since 2026-10-01 --json"
        ),
    )(precision_command)
    app.add_typer(group, name="alerts", rich_help_panel=panel)


def command(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on and print alerts as they come, until Ctrl-C.")
    ] = False,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    team: Annotated[str | None, typer.Option(help="Of one team only.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="Of one kind only, such as spike.", show_default=False)] = None,
    severity: Annotated[str | None, typer.Option(help="info, warning or critical only.", show_default=False)] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every state change, and alerts about replayed old time.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the newest state of each alert; with --json one object a line, every state change."""
    if context.invoked_subcommand is not None:
        if follow or only_open or team or kind or severity or history or json:
            name = context.invoked_subcommand
            raise typer.BadParameter(f"options of `alerts {name}` stand behind it: see `streamgauge alerts {name} -h`")
        return
    _check_names(kind, severity)

    def wanted(alert: Alert) -> bool:
        return (
            team in (None, alert.scope.team)
            and kind in (None, alert.kind)
            and severity in (None, alert.severity)
            and (not alert.historical or history or json)
        )

    every = _read(settings_of(context), follow)
    if follow:
        for alert in every:
            if wanted(alert) and not (only_open and alert.state == "resolved"):
                _tell(alert, json)
        return
    from streamgauge.alerts.reading import fold

    alerts = list(every)
    stories = fold(alerts)
    if json or history:
        for alert in alerts:
            if wanted(alert) and (not only_open or stories[alert.alert_id].is_open):
                _tell(alert, json)
        return
    found = [one for one in stories.values() if wanted(one.last) and (one.is_open or not only_open)]
    hidden = sum(one.last.historical for one in stories.values())
    _list(found, hidden, "open " if only_open else "")


def _tell(alert: Alert, json: bool) -> None:
    from streamgauge.alerts.lines import followed
    from streamgauge.cli.output import console, emit_line

    if json:
        emit_line(alert.model_dump(mode="json"))
    else:
        typer.echo("\n".join(followed(alert, console().width)))


def _list(found: list[Story], hidden: int, which: str) -> None:
    from streamgauge.alerts.lines import listed
    from streamgauge.cli.output import console

    if not found:
        typer.echo(f"No {which}alerts.{_of_old_time(hidden)}")
        return
    for story in sorted(found, key=lambda one: one.first.occurred_at):
        typer.echo("\n".join(listed(story, console().width)))
    if hidden:
        typer.echo(_of_old_time(hidden).strip())


def _check_names(kind: str | None, severity: str | None) -> None:
    """A name that no alert has would look like good news."""
    from typing import get_args

    from schemas.alerts import AlertKind, Severity

    for name, given, known in (("--kind", kind, get_args(AlertKind)), ("--severity", severity, get_args(Severity))):
        if given is not None and given not in known:
            raise typer.BadParameter(f"{given!r} is none; there are {', '.join(known)}", param_hint=name)


def _of_old_time(count: int) -> str:
    """What a replay raised is not shown unasked, but its being there is."""
    return f" {count} more about replayed old time: --history shows them." if count else ""


def _read(settings: Settings, follow: bool) -> Iterator[Alert]:
    from streamgauge.alerts.reading import read_alerts
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    connection = kafka_connection(settings)
    reach_kafka(connection)
    return read_alerts(connection, topic_names(settings).alerts, unreadable, follow=follow)


def unreadable(why: str) -> None:
    typer.echo(f"streamgauge: {why}", err=True)

"""`streamgauge up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from streamgauge.local.state import LocalState


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "up",
        rich_help_panel=panel,
        epilog=examples("streamgauge up", "streamgauge up --kafka-port 19092 --http-port 18123 --data /tmp/try"),
    )(command)


def command(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder for data and logs; otherwise local.data_dir.", show_default=False),
    ] = None,
    kafka_port: Annotated[
        int | None,
        typer.Option(
            help="Port of the broker, 0 for any free one; otherwise local.kafka_port.",
            metavar="PORT",
            min=0,
            max=65_535,
            show_default=False,
        ),
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            help="Port of ClickHouse's HTTP interface, 0 for any; otherwise local.http_port.",
            metavar="PORT",
            min=0,
            max=65_535,
            show_default=False,
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A role that you run yourself, in a debugger say.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Start a broker, ClickHouse and every role here, and serve until Ctrl-C.

    For trying out and developing: the broker keeps its topics in memory, so events, alerts and what was applied end
    with it; ClickHouse's data stay in the folder. There is one worker per role. Other commands find it by themselves
    when they run in the same place.
    """
    from streamgauge.cli.output import emit_line
    from streamgauge.local.house import ROLES, House, HousePlan
    from streamgauge.settings.as_environment import as_environment

    for name in without or ():
        if name not in ROLES:
            raise typer.BadParameter(f"{name!r} is not a role; there are {', '.join(ROLES)}", param_hint="--without")
    settings = settings_of(context, use_local=False)
    local = settings.local
    plan = HousePlan(
        data_dir=data or local.data_dir,
        kafka_port=(local.kafka_port if kafka_port is None else kafka_port) or None,
        http_port=(local.http_port if http_port is None else http_port) or None,
        without=tuple(without or ()),
        environment=as_environment(settings, ("enrich", "agents", "sink", "logs")),
    )
    halt = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # The first one ends the start or the watch; while stopping, a further one changes nothing.
        if not halt.is_set():
            halt.set()
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    house = House(plan, said=lambda part: None if json else typer.echo(f"  {part} …", err=True))
    try:
        house.start()
        if json:
            emit_line(_as_json(house.state, house.endpoints))
        else:
            _tell(house.state, house.endpoints)
        while True:
            halt.wait(0.5)
            house.watch()
    except KeyboardInterrupt:
        if not json:
            typer.echo("\nstopping …", err=True)
    finally:
        halt.set()
        house.stop()
    if not json:
        typer.echo("stopped.", err=True)


def _as_json(state: LocalState, endpoints: Mapping[str, str]) -> dict[str, object]:
    return {
        "kafka": state.bootstrap,
        "clickhouse": f"http://{state.http_host}:{state.http_port}",
        "database": state.database,
        "endpoints": dict(endpoints),
        "data": state.data_dir,
        "pid": state.pid,
    }


_NEXT: Final = """
For trying out and developing: one worker per role, and what was applied has to be applied again after a restart.
docs/operations.md says how to run on Kafka and ClickHouse of your own. In another terminal, in this folder:

  streamgauge replay TRACE.csv --format azure-llm
  streamgauge apply FOLDER
  streamgauge query "SELECT count(), sum(cost_usd) FROM usage_events"
  streamgauge budgets
  streamgauge alerts --follow
"""


def _tell(state: LocalState, endpoints: Mapping[str, str]) -> None:
    typer.echo("\nStreamgauge is up. Ctrl-C stops all of it.\n")
    typer.echo(f"  Kafka        {state.bootstrap}   (in memory: its topics end with this process)")
    typer.echo(f"  ClickHouse   http://{state.http_host}:{state.http_port}   database {state.database}")
    typer.echo(f"  data, logs   {state.data_dir}")
    for role, address in endpoints.items():
        typer.echo(f"  {role:<10}   {address}   /live /ready /metrics")
    typer.echo(_NEXT)

"""`streamgauge sink`: the writer into ClickHouse, as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streamgauge.cli.options import examples, settings_of

if TYPE_CHECKING:
    from streamgauge.cli.role import Role


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "sink",
        rich_help_panel=panel,
        epilog=examples(
            "STREAMGAUGE_CLICKHOUSE__PASSWORD=… streamgauge sink",
            "STREAMGAUGE_HTTP__PORT=9103 streamgauge --config prod.toml sink",
        ),
    )(command)


def command(context: typer.Context) -> None:
    """Run the writer into ClickHouse: events, outcomes, alerts and statuses, once each, until Ctrl-C or SIGTERM."""
    from streamgauge.cli.role import run_role

    run_role("sink", settings_of(context), _body)


def _body(role: Role) -> None:
    from sinks.run import run_sink
    from streamgauge.settings.convert import clickhouse_target, sink_config

    run_sink(
        sink_config(role.settings),
        role.connection,
        role.topics,
        clickhouse_target(role.settings),
        role.clock,
        role.halt,
        role.registry,
        role.health,
        role.schemas,
    )

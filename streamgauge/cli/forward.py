"""`streamgauge forward`: alerts to Alertmanager, as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streamgauge.cli.options import examples, settings_of

if TYPE_CHECKING:
    from streamgauge.cli.role import Role


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "forward",
        rich_help_panel=panel,
        epilog=examples(
            "STREAMGAUGE_FORWARD__URL=http://alertmanager:9093 streamgauge forward",
            "STREAMGAUGE_FORWARD__TOKEN=… STREAMGAUGE_HTTP__PORT=9105 streamgauge --config prod.toml forward",
        ),
    )(command)


def command(context: typer.Context) -> None:
    """Post alerts to Alertmanager, which tells mail, chat and pagers: each state change once, until Ctrl-C or SIGTERM.

    Open alerts are posted again before Alertmanager forgets them. While it is away everything waits in Kafka.
    """
    from streamgauge.cli.role import run_role
    from streamgauge.settings.convert import forward_config

    settings = settings_of(context)
    forward_config(settings)
    run_role("forward", settings, _body)


def _body(role: Role) -> None:
    from streamgauge.forwarding.forwarder import Forwarder
    from streamgauge.settings.convert import forward_config

    Forwarder(
        forward_config(role.settings),
        role.connection,
        role.topics.alerts,
        role.clock,
        role.halt,
        role.registry,
        role.health,
    ).run()

"""`streamgauge enrich`: the data plane, as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streamgauge.cli.options import examples, settings_of

if TYPE_CHECKING:
    from streamgauge.cli.role import Role


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "enrich",
        rich_help_panel=panel,
        epilog=examples(
            "STREAMGAUGE_ENRICH__USER_KEY=… streamgauge enrich",
            "STREAMGAUGE_HTTP__PORT=9101 streamgauge --config prod.toml enrich",
        ),
    )(command)


def command(context: typer.Context) -> None:
    """Run the data plane: check, deduplicate, attribute and price every event, until Ctrl-C or SIGTERM."""
    from streamgauge.cli.role import run_role
    from streamgauge.settings.convert import user_key

    settings = settings_of(context)
    user_key(settings)
    run_role("enrich", settings, _body)


def _body(role: Role) -> None:
    from streamgauge.settings.convert import enrich_config
    from streams.enrich.run import run_enrich

    run_enrich(
        enrich_config(role.settings),
        role.connection,
        role.topics,
        role.clock,
        role.halt,
        role.registry,
        role.health,
        role.schemas,
    )

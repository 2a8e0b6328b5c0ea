"""`streamgauge agents`: the control plane, as a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streamgauge.cli.options import examples, settings_of

if TYPE_CHECKING:
    from streamgauge.cli.role import Role


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "agents",
        rich_help_panel=panel,
        epilog=examples("streamgauge agents", "STREAMGAUGE_HTTP__PORT=9102 streamgauge --config prod.toml agents"),
    )(command)


def command(context: typer.Context) -> None:
    """Run the control plane: team totals, budgets, spikes and their alerts, until Ctrl-C or SIGTERM."""
    from streamgauge.cli.role import run_role

    run_role("agents", settings_of(context), _body)


def _body(role: Role) -> None:
    from streamgauge.agents_asking import Asking
    from streamgauge.agents_detail import AgentsDetail
    from streamgauge.agents_history import AgentsHistory
    from streamgauge.agents_reviews import AgentsReviews
    from streamgauge.settings.convert import agents_config, clickhouse_target
    from streams.agents.run import run_agents

    config = agents_config(role.settings)
    target = clickhouse_target(role.settings)

    def asking() -> Asking:
        return Asking(target, role.connection, role.topics, role.clock)

    run_agents(
        config,
        role.connection,
        role.topics,
        role.clock,
        role.registry,
        role.health,
        role.halt,
        (lambda: AgentsHistory(asking())) if role.settings.agents.history else None,
        (lambda: AgentsDetail(asking())) if role.settings.agents.investigate else None,
        (lambda: AgentsReviews(asking())) if config.reviews.enabled else None,
    )

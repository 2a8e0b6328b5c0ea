"""`streamgauge budgets`: what each budget stands at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.output import Align

if TYPE_CHECKING:
    from schemas.status import BudgetStatus
    from streamgauge.settings import Settings


BUDGET_COLUMNS: Final[tuple[tuple[str, Align], ...]] = (
    ("budget", "left"),
    ("scope", "left"),
    ("period", "left"),
    ("used", "right"),
    ("limit", "right"),
    ("", "left"),
    ("", "right"),
    ("state", "left"),
)


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "budgets",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge budgets", "streamgauge budgets --all", "streamgauge budgets --json | jq '.[].used_share'"
        ),
    )(command)


def command(
    context: typer.Context,
    all_periods: Annotated[
        bool, typer.Option("--all", help="Every period that is kept, not only the newest of each budget.")
    ] = False,
    json: Json = False,
) -> None:
    """Show use against limit, newest period of each budget."""
    from streamgauge.cli.output import emit_json, print_table

    statuses = _read(settings_of(context))
    if not all_periods:
        newest: dict[str, BudgetStatus] = {}
        for status in statuses:
            known = newest.get(status.budget_id)
            if known is None or known.period.start <= status.period.start:
                newest[status.budget_id] = status
        statuses = list(newest.values())
    statuses.sort(key=lambda status: (-status.used_share, status.budget_id, status.period.start))
    if json:
        emit_json([status.model_dump(mode="json") for status in statuses])
        return
    if not statuses:
        typer.echo("No budget has a status yet: set one with `streamgauge apply`, then send usage.")
        return
    print_table(BUDGET_COLUMNS, [budget_row(status) for status in statuses], whole=("budget", "period"))
    for status in statuses:
        if status.state == "unknown":
            typer.echo(f"{status.budget_id}: unknown, because {status.state_reason or 'the reason was not given'}")


def budget_row(status: BudgetStatus) -> tuple[str, ...]:
    """Budget, scope, period, used, limit, bar, percent, state."""
    # The period is the budget's own: its first local day, not the UTC one.
    from zoneinfo import ZoneInfo

    from streamgauge.cli.output import bar, short_amount

    start = status.period.start.astimezone(ZoneInfo(status.period.time_zone))
    scope = (
        ", ".join(f"{name} {value}" for name, value in status.scope.model_dump(exclude_none=True).items()) or "platform"
    )
    return (
        status.budget_id,
        scope,
        start.strftime("%Y-%m" if status.period.kind == "month" else "%Y-%m-%d"),
        short_amount(status.used, status.unit),
        short_amount(status.limit, status.unit),
        bar(status.used_share),
        f"{status.used_share:.0%}",
        status.state,
    )


def _read(settings: Settings) -> list[BudgetStatus]:
    from schemas.status import BudgetStatus
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names
    from streamgauge.tail import read_topic

    connection = kafka_connection(settings)
    reach_kafka(connection)
    newest: dict[bytes, BudgetStatus] = {}
    for record in read_topic(connection, topic_names(settings).status):
        if record.key is None:
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = BudgetStatus.model_validate_json(record.value)
    return list(newest.values())

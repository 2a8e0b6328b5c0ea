"""`streamgauge budgets`: what each budget stands at; `budgets ack`: that one goes on above its soft limit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from streamgauge.cli.budgets_reading import read_statuses, running
from streamgauge.cli.budgets_view import as_json, print_budgets
from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.output import Align
from streamgauge.cli.signing_options import As, Key, Note, open_desk

if TYPE_CHECKING:
    from schemas.status import BudgetStatus


#: One line a budget, for the demo.
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
    group = typer.Typer(
        invoke_without_command=True,
        help="What each budget stands at: state, use against plan and limit, forecast, exceptions.",
        epilog=examples(
            "streamgauge budgets",
            "streamgauge budgets --scope search --all",
            "streamgauge budgets --json | jq '.[].used_share'",
        ),
    )
    group.callback()(command)
    group.command(
        "ack",
        epilog=examples(
            "streamgauge budgets ack search-month --key ~/.ssh/governance --note 'the index is built until Friday'"
        ),
    )(ack_command)
    app.add_typer(group, name="budgets", rich_help_panel=panel)


def command(
    context: typer.Context,
    all_periods: Annotated[
        bool, typer.Option("--all", help="Every period that is kept, not only the newest of each budget.")
    ] = False,
    scope: Annotated[
        str | None, typer.Option(help="Only budgets of this team, department, project or use case.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from streamgauge.cli.output import emit_json
    from streamgauge.exceptions.standing import now_utc

    now = now_utc()
    desk = open_desk(settings_of(context), to_look=True)
    statuses, closed = read_statuses(desk)
    if not all_periods:
        statuses = list(running(statuses, now).values())
    if scope is not None:
        statuses = [one for one in statuses if scope in one.scope.model_dump(exclude_none=True).values()]
    statuses.sort(key=lambda status: (-status.used_share, status.budget_id, status.period.start))
    if json:
        emit_json([as_json(status, desk.snapshot, now) for status in statuses])
        return
    if statuses:
        print_budgets(statuses, desk.snapshot, now)
    elif scope is not None:
        typer.echo(f"No budget of {scope} has a status.")
    else:
        typer.echo("No budget has a status yet: set one with `streamgauge apply`, then send usage.")
    if closed:
        typer.echo("Budgets about one person are not shown: this login may not read their topic.")


def ack_command(
    context: typer.Context,
    budget: Annotated[str, typer.Argument(help="Its id.", show_default=False)],
    hard: Annotated[bool, typer.Option("--hard", help="Beyond the hard limit, for which it needs a reviewer.")] = False,
    claimed: As = None,
    key: Key = None,
    note: Note = None,
    json: Json = False,
) -> None:
    """Acknowledge that a budget above its soft limit goes on for the rest of its period.

    It needs the right of a manager or a reviewer for the scope, and your signature.
    """
    from streamgauge.cli.output import emit_json
    from streamgauge.exceptions.decisions import acknowledge
    from streamgauge.exceptions.standing import now_utc

    level: Literal["soft", "hard"] = "hard" if hard else "soft"
    desk, now = open_desk(settings_of(context)), now_utc()
    signer = desk.signer(key, claimed)
    status = running(read_statuses(desk)[0], now).get(budget)
    record = acknowledge(budget, level, signer, desk.snapshot, status, now, note)
    desk.publish(record)
    if json:
        emit_json(record.model_dump(mode="json", exclude_none=True))
        return
    from schemas.control.base import moment_us
    from schemas.control.periods import period_name

    period = period_name(desk.snapshot.budgets[budget], moment_us(record.period_start))
    typer.echo(f"{budget}: {level} limit acknowledged by {record.decision.by} for {period}.")


def budget_row(status: BudgetStatus) -> tuple[str, ...]:
    """Budget, scope, period, used, limit, bar, percent, state."""
    from streamgauge.cli.budgets_view import scope_text
    from streamgauge.cli.output import bar, short_amount

    return (
        status.budget_id,
        scope_text(status),
        _start(status),
        short_amount(status.used, status.unit),
        short_amount(status.limit, status.unit),
        bar(status.used_share),
        f"{status.used_share:.0%}",
        status.state,
    )


def _start(status: BudgetStatus) -> str:
    # The period is the budget's own: its first local day, not the UTC one.
    from zoneinfo import ZoneInfo

    start: datetime = status.period.start.astimezone(ZoneInfo(status.period.time_zone))
    return start.strftime("%Y-%m" if status.period.kind == "month" else "%Y-%m-%d")

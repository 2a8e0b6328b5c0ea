"""`streamgauge exceptions …`: who may go beyond a limit or a policy, until when, and what came of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.exceptions_deciding import approve_command, deny_command, revoke_command
from streamgauge.cli.exceptions_request import request_command
from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.signing_options import open_desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert
    from streamgauge.cli.signing_options import Desk
    from streamgauge.exceptions.outcomes import Outcome


def add(app: typer.Typer, panel: str) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Exceptions from budgets and policies: ask, decide, see what came of them.",
        epilog=examples("streamgauge exceptions list", "streamgauge exceptions request --help"),
    )
    group.command(
        "request",
        epilog=examples(
            "streamgauge exceptions request --budget search-month --extra 500 --days 14 --justification 'launch week' "
            "--impact '40k more tickets answered' --evidence ticket=OPS-1204 --key ~/.ssh/governance",
            "streamgauge exceptions request --team search --model 'claude-opus-*' --until 2026-12-24 "
            "--justification 'migration of the index' --impact 'done by Christmas'",
        ),
    )(request_command)
    group.command(
        "approve",
        epilog=examples(
            "streamgauge exceptions approve search-month-1f2e3d --key ~/.ssh/governance",
            "streamgauge exceptions approve search-month-1f2e3d --as grace --note 'agreed with finance'",
        ),
    )(approve_command)
    group.command(
        "deny", epilog=examples("streamgauge exceptions deny search-month-1f2e3d --note 'use the smaller model'")
    )(deny_command)
    group.command(
        "revoke", epilog=examples("streamgauge exceptions revoke search-month-1f2e3d --note 'the launch was put off'")
    )(revoke_command)
    group.command(
        "list",
        epilog=examples(
            "streamgauge exceptions list",
            "streamgauge exceptions list --budget search-month --all",
            "streamgauge exceptions list --json | jq '.[] | select(.state == \"requested\").id'",
        ),
    )(list_command)
    group.command("show", epilog=examples("streamgauge exceptions show search-month-1f2e3d"))(show_command)
    group.command(
        "report",
        epilog=examples(
            "streamgauge exceptions report",
            "streamgauge exceptions report --since 2026-07-01 --json | jq '.lessons[].sentence'",
        ),
    )(report_command)
    app.add_typer(group, name="exceptions", rich_help_panel=panel)


def list_command(
    context: typer.Context,
    budget: Annotated[str | None, typer.Option(help="Of one budget only.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over, denied or refused.")] = False,
    json: Json = False,
) -> None:
    """List what is asked for and what is granted; requests first, then by their end."""
    from streamgauge.cli.output import emit_json, moment, print_table
    from streamgauge.exceptions.standing import OVER, now_utc, standing_of

    desk, now = open_desk(settings_of(context)), now_utc()
    found = [standing_of(grant, desk.snapshot, now) for grant in desk.snapshot.exceptions.values()]
    found = [one for one in found if budget is None or one.grant.budget == budget]
    shown = [one for one in found if every or one.state not in OVER]
    shown.sort(key=lambda one: (one.state != "requested", one.state in OVER, one.grant.valid_to, one.grant.id))
    if json:
        emit_json([one.as_json() for one in shown])
        return
    if shown:
        print_table(
            [(name, "left") for name in ("exception", "state", "about", "what", "until (UTC)", "decided by")],
            [
                (
                    one.grant.id,
                    one.state.replace("_", " "),
                    one.about(),
                    one.amount(),
                    moment(one.grant.valid_to)[:10],
                    one.grant.decision.by if one.grant.decision is not None else "",
                )
                for one in shown
            ],
            # An id is typed again, so it is never broken.
            whole=("exception", "state", "until (UTC)"),
        )
    else:
        typer.echo("No exception is asked for or in force: `streamgauge exceptions request` asks for one.")
    if len(found) > len(shown):
        typer.echo(f"{len(found) - len(shown)} more that are over: --all shows them.")


def show_command(
    context: typer.Context,
    exception: Annotated[str, typer.Argument(help="Its id.", show_default=False)],
    json: Json = False,
) -> None:
    """Show one exception: why it is asked for, who decided, and every step that agents saw."""
    from streamgauge.cli.output import emit_json, moment
    from streamgauge.exceptions.decisions import find
    from streamgauge.exceptions.standing import now_utc, standing_of

    desk = open_desk(settings_of(context))
    one = standing_of(find(exception, desk.snapshot), desk.snapshot, now_utc())
    steps = _steps(desk, exception)
    if json:
        told = [alert.model_dump(mode="json", include={"exception", "occurred_at", "summary"}) for alert in steps]
        emit_json({**one.as_json(), "steps": told})
        return
    grant, decision = one.grant, one.grant.decision
    typer.echo(f"{grant.id}  {one.state.replace('_', ' ')}{f': {one.why}' if one.why else ''}")
    lines = [
        ("about", f"{one.about()}: {one.amount()}"),
        ("from, until", f"{moment(grant.valid_from)} to {moment(grant.valid_to)} UTC"),
        ("asked by", f"{grant.requested_by}, {moment(grant.requested_at)} UTC"),
        ("because", grant.justification),
        ("impact", grant.expected_impact),
        ("data class", grant.data_class or "not said"),
        *(("evidence", f"{proof.kind} {proof.reference}") for proof in grant.evidence),
    ]
    if decision is not None:
        note = f": {decision.note}" if decision.note else ""
        lines.append((decision.verdict, f"by {decision.by} ({decision.via}), {moment(decision.at)} UTC{note}"))
    for name, value in lines:
        typer.echo(f"  {name:<12} {value}")
    for alert in steps:
        # When it was told: by event time what comes into force may lie before its own approval.
        typer.echo(f"  {moment(alert.evaluated_at)}  {alert.summary}")


def report_command(
    context: typer.Context,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Exceptions that ended since then; 180 days.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare what was granted, what was used of it and what came of it, and say what ceilings may learn from that.

    It asks ClickHouse, which keeps exceptions when they are long over.
    """
    from dataclasses import asdict
    from datetime import UTC

    from streamgauge.asking import open_database
    from streamgauge.cli.output import emit_json, short_amount
    from streamgauge.exceptions.outcomes import learn, read_outcomes
    from streamgauge.exceptions.standing import now_utc
    from streamgauge.settings.convert import clickhouse_target

    start = since.replace(tzinfo=UTC) if since is not None else now_utc() - timedelta(days=180)
    with open_database(clickhouse_target(settings_of(context), analyst=True)) as database:
        outcomes = read_outcomes(database, start)
    lessons = learn(outcomes, short_amount)
    if json:
        emit_json(
            {
                "since": start,
                "exceptions": [{**asdict(one), "used_share": one.used_share} for one in outcomes],
                "lessons": [asdict(one) for one in lessons],
            }
        )
        return
    if not outcomes:
        typer.echo(f"No exception was granted since {start:%Y-%m-%d}.")
        return
    _print_outcomes(outcomes)
    for lesson in lessons:
        typer.echo(lesson.sentence)
    if not lessons:
        typer.echo("Nothing to learn yet: a budget says something from its second exception that is over.")


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    from streamgauge.cli.output import bar, print_table, short_amount

    print_table(
        [
            ("exception", "left"),
            ("until", "left"),
            ("granted", "right"),
            ("used", "right"),
            ("", "left"),
            ("step", "left"),
            ("outcomes", "right"),
            ("cost before", "right"),
            ("cost during", "right"),
        ],
        [
            (
                one.exception_id,
                f"{one.valid_to:%Y-%m-%d}",
                "permission" if one.granted is None else short_amount(one.granted, one.unit),
                "not yet" if one.used is None else short_amount(one.used, one.unit),
                "" if one.used_share is None else bar(one.used_share),
                one.last_step.replace("_", " "),
                "" if one.outcomes is None else f"{one.outcomes:,}",
                _cost(one.cost_before_usd),
                _cost(one.cost_during_usd),
            )
            for one in outcomes
        ],
        whole=("exception", "until", "step"),
    )


def _cost(value: float | None) -> str:
    return "" if value is None else f"${value:,.3f}"


def _steps(desk: Desk, exception_id: str) -> list[Alert]:
    """What agents told of it, in order."""
    from schemas.alerts import Alert
    from streamgauge.tail import read_topic

    # Alerts are many: only those that name it are parsed.
    mark = exception_id.encode()
    found = []
    for record in read_topic(desk.connection, desk.topics.alerts):
        if record.value is not None and mark in record.value and b'"kind":"exception"' in record.value:
            alert = Alert.model_validate_json(record.value)
            if alert.exception is not None and alert.exception.id == exception_id:
                found.append(alert)
    return found

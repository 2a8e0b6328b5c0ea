"""`streamgauge exceptions request`: ask for more, or for something else; a rule may decide at once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.budgets_reading import read_statuses, running
from streamgauge.cli.options import Json, settings_of
from streamgauge.cli.signing_options import As, Key, open_desk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from schemas.control.decisions import Evidence
    from schemas.control.exceptions import ExceptionGrant, Permission
    from schemas.control.principals import Principal
    from streamgauge.cli.signing_options import Desk

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


def request_command(
    context: typer.Context,
    justification: Annotated[str, typer.Option(help="Why it is needed.", show_default=False)],
    impact: Annotated[str, typer.Option(help="What is expected to come of it.", show_default=False)],
    budget: Annotated[str | None, typer.Option(help="The budget whose limit is too low.", show_default=False)] = None,
    extra: Annotated[
        str | None, typer.Option(help="How much beyond its limit, in its unit, such as 500.", show_default=False)
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Or: a model that may be used; a trailing * is a family.", show_default=False),
    ] = None,
    provider: Annotated[list[str] | None, typer.Option(help="A provider that may be used.", show_default=False)] = None,
    team: Annotated[str | None, typer.Option(help="Who may use them: a team.", show_default=False)] = None,
    department: Annotated[str | None, typer.Option(help="A department.", show_default=False)] = None,
    use_case: Annotated[str | None, typer.Option(help="A use case.", show_default=False)] = None,
    workflow: Annotated[str | None, typer.Option(help="A workflow.", show_default=False)] = None,
    role: Annotated[str | None, typer.Option(help="A role.", show_default=False)] = None,
    stage: Annotated[str | None, typer.Option(help="exploratory or production.", show_default=False)] = None,
    starts: Annotated[
        datetime | None,
        typer.Option(
            "--from", formats=_DATES, metavar="YYYY-MM-DD[THH:MM]", help="From when, UTC; now.", show_default=False
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=_DATES, metavar="YYYY-MM-DD[THH:MM]", help="Until when, UTC; or --days.", show_default=False
        ),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_660, help="For how many days.", show_default=False)] = None,
    data_class: Annotated[
        str | None,
        typer.Option(help="How sensitive the data are; a permission holds for these alone.", show_default=False),
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=REFERENCE", help="What supports it, such as ticket=OPS-12.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option("--id", help="Its id; otherwise one is made.", show_default=False)] = None,
    claimed: As = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Ask for an extra amount on a budget, or for leave to use a model or provider.

    You prove who you are with your key. A rule may approve or deny at once, by the evidence; otherwise it stays a
    request, and the answer names who may decide.
    """
    from streamgauge.exceptions.requests import Wish, make_request, who_may_decide
    from streamgauge.exceptions.rules import decide_by_rule
    from streamgauge.exceptions.standing import now_utc

    scope = {"team": team, "department": department, "use_case": use_case, "workflow": workflow, "role": role}
    permits = _permission({**scope, "stage": stage}, model or [], provider or [], data_class)
    if (budget is None) == (permits is None):
        raise typer.BadParameter("say either --budget with --extra, or --model or --provider")
    if budget is not None and any((*scope.values(), stage)):
        raise typer.BadParameter("the scope of an extra amount is its budget's: leave the other options away")
    wish = Wish(
        justification=justification,
        expected_impact=impact,
        budget=budget,
        extra=_amount(extra),
        permits=permits,
        data_class=data_class,
        evidence=tuple(_evidence(one) for one in evidence or []),
        valid_from=_utc(starts),
        until=_utc(until),
        days=days,
        id=name,
    )
    desk, now = open_desk(settings_of(context)), now_utc()
    requester = desk.signer(key, claimed).principal
    counted_to = _counted_to(desk, budget, now) if budget is not None and starts is None else None
    grant = make_request(wish, requester, desk.snapshot, now, counted_to)
    decision = decide_by_rule(grant, desk.snapshot, now)
    if decision is not None:
        grant = grant.model_copy(update={"decision": decision})
    desk.publish(grant)
    _tell(grant, who_may_decide(grant, desk.snapshot, now), _unit(grant, desk.snapshot.budgets), json=json)


def _counted_to(desk: Desk, budget: str, now: datetime) -> datetime | None:
    """How far event time stands for the budget; None where nothing was counted."""
    status = running(read_statuses(desk)[0], now).get(budget)
    return None if status is None else status.as_of.watermark


def _tell(grant: ExceptionGrant, deciders: Sequence[Principal], unit: str | None, *, json: bool) -> None:
    from streamgauge.cli.output import emit_json, moment
    from streamgauge.exceptions.standing import Standing

    decision = grant.decision
    command = f"streamgauge exceptions approve {grant.id}"
    if json:
        emit_json(
            {
                "exception": grant.model_dump(mode="json", exclude_none=True),
                "state": "requested" if decision is None else decision.verdict,
                "may_decide": [one.id for one in deciders] if decision is None else [],
                "command": command if decision is None else None,
            }
        )
        return
    one = Standing(grant, "requested", unit, None)
    what = f"{one.amount()} on {one.about()} until {moment(grant.valid_to)} UTC"
    if decision is not None:
        typer.echo(f"{grant.id}: {what}: {decision.verdict} by {decision.by}: {decision.note}")
        return
    typer.echo(f"{grant.id}: {what}: requested.")
    if not deciders:
        typer.echo("Nobody may decide on it: no principal but you has the right platform, finance or security for it.")
        return
    typer.echo("Who may decide:")
    for person in deciders:
        contact = f", {person.contact}" if person.contact else ""
        how = "" if person.public_key else " (has no key: by a merged file)"
        typer.echo(f"  {person.id}  {', '.join(person.rights)}{contact}{how}")
    typer.echo(f"  $ {command}")


def _permission(
    scope: dict[str, str | None], models: list[str], providers: list[str], data_class: str | None
) -> Permission | None:
    if not models and not providers:
        return None
    from pydantic import ValidationError

    from schemas.control.budgets import Scope
    from schemas.control.exceptions import Permission

    try:
        return Permission(
            scope=Scope.model_validate({**scope, "data_class": data_class}),
            models=tuple(models),
            providers=tuple(providers),
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, wrong['loc']))} {wrong['input']!r}: {wrong['msg']}") from None


def _amount(text: str | None) -> Decimal | None:
    from decimal import Decimal, InvalidOperation

    if text is None:
        return None
    try:
        found = Decimal(text.removeprefix("$").replace(",", "").replace("_", ""))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite():
        raise typer.BadParameter(f"{text!r} is no amount: write it as 500 or 500.50", param_hint="--extra")
    return found


def _evidence(text: str) -> Evidence:
    from pydantic import ValidationError

    from schemas.control.decisions import Evidence

    kind, _, reference = text.partition("=")
    try:
        return Evidence(kind=kind, reference=reference)
    except ValidationError:
        raise typer.BadParameter(
            f"{text!r} is no evidence: write KIND=REFERENCE, such as ticket=OPS-12", param_hint="--evidence"
        ) from None


def _utc(moment: datetime | None) -> datetime | None:
    from datetime import UTC

    return None if moment is None else moment.replace(tzinfo=UTC)


def _unit(grant: ExceptionGrant, budgets: object) -> str | None:
    budget = budgets.get(grant.budget) if isinstance(budgets, dict) else None
    return None if budget is None else str(budget.unit)

"""`streamgauge governance`: what share of all calls is known and governed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.output import Align

if TYPE_CHECKING:
    from schemas.status import GovernanceStatus
    from streamgauge.settings import Settings

_COLUMNS: Final[tuple[tuple[str, Align], ...]] = (
    ("calls", "left"),
    ("", "right"),
    ("share", "right"),
    ("", "left"),
    ("cost", "right"),
)
#: Facet -> what people call it.
_FACETS: Final = {
    "all": "all",
    "governed": "that a policy speaks of",
    "violations": "that break a policy",
    "unregistered": "of an unregistered use case",
    "unattributed": "without a team",
    "unpriced": "without a price",
    "high_risk_approved": "of high risk, approved",
}


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "governance",
        rich_help_panel=panel,
        epilog=examples("streamgauge governance", "streamgauge governance --json | jq '.[0].governed_share'"),
    )(command)


def command(
    context: typer.Context,
    all_months: Annotated[bool, typer.Option("--all", help="The month before too.")] = False,
    json: Json = False,
) -> None:
    """Show what share of all calls a policy speaks of, and what is not known of the rest. Newest month first."""
    from streamgauge.cli.output import emit_json

    statuses = _read(settings_of(context))
    if not all_months:
        del statuses[1:]
    if json:
        emit_json([status.model_dump(mode="json") for status in statuses])
        return
    if not statuses:
        typer.echo("No call was judged yet: apply a policy or a use case with `streamgauge apply`, then send usage.")
    for status in statuses:
        _print(status)


def _print(status: GovernanceStatus) -> None:
    from streamgauge.cli.output import bar, moment, print_table, short_amount

    total = max(1, status.calls.get("all", 0))
    rows = []
    for facet, label in _FACETS.items():
        calls = status.calls.get(facet, 0)
        cost = short_amount(status.cost_nanousd.get(facet, 0), "nanousd")
        rows.append((label, f"{calls:,}", f"{calls / total:.1%}", bar(calls / total), cost))
    print_table(_COLUMNS, rows, title=f"Calls of {status.period.start:%B %Y}, UTC")
    if status.high_risk_workflows:
        typer.echo(f"Approved workflows of high risk: {', '.join(status.high_risk_workflows)}")
    typer.echo(f"Counted up to {moment(status.as_of.watermark) or 'no event yet'} UTC of event time.")


def _read(settings: Settings) -> list[GovernanceStatus]:
    """Months that stand on the topic, newest first."""
    from schemas.status import GOVERNANCE, GovernanceStatus
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names
    from streamgauge.tail import read_topic

    connection = kafka_connection(settings)
    reach_kafka(connection)
    newest: dict[bytes, bytes] = {}
    for record in read_topic(connection, topic_names(settings).status):
        if record.key is None or not record.key.startswith(f"{GOVERNANCE}|".encode()):
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = record.value
    statuses = [GovernanceStatus.model_validate_json(value) for value in newest.values()]
    return sorted(statuses, key=lambda status: status.period.start, reverse=True)

"""`streamgauge rejected list|show|replay`: refused events, why, and once more after a fix."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.rejected_options import (
    All,
    Code,
    Since,
    Source,
    Topic,
    as_json,
    filters_of,
    opened,
    place_at,
    replayer,
    state,
    topic_names_of,
)

if TYPE_CHECKING:
    from sinks.corrections.rejected import Filters, Place, Refused
    from sinks.database import Database
    from streamgauge.rejected.replay import Outcome, Replayer
    from streamgauge.settings import Settings


def add(app: typer.Typer, panel: str) -> None:
    group = typer.Typer(no_args_is_help=True, help="Refused events: list them, show one, send them again after a fix.")
    group.command(
        "list",
        epilog=examples(
            "streamgauge rejected list",
            "streamgauge rejected list --since 2026-11-01 --source gateway-eu",
            "streamgauge rejected list --code tag_not_allowed --json | jq '.events[].position'",
        ),
    )(list_command)
    group.command(
        "show", epilog=examples("streamgauge rejected show usage.events:3:1042", "streamgauge rejected show 3:1042:7")
    )(show_command)
    group.command(
        "replay",
        epilog=examples(
            "streamgauge rejected replay usage.events:3:1042:7",
            "streamgauge rejected replay --code tag_not_allowed --dry-run",
            "streamgauge rejected replay --code tag_not_allowed --source gateway-eu",
        ),
    )(replay_command)
    app.add_typer(group, name="rejected", rich_help_panel=panel)


def list_command(
    context: typer.Context,
    since: Since = None,
    code: Code = "",
    source: Source = "",
    topic: Topic = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest events shown one by one.")] = 20,
    with_replayed: All = False,
    json: Json = False,
) -> None:
    """Count refused events by code and source, and list the newest."""
    from sinks.corrections.rejected import find, summary
    from streamgauge.cli.output import cell, emit_json, moment, print_table
    from streamgauge.rejected.advice import ADVICE

    settings = settings_of(context)
    filters = filters_of(settings, since, code, source, topic, with_replayed=with_replayed)
    with opened(settings) as database:
        groups, newest = summary(database, filters), find(database, filters, limit)
    if json:
        emit_json(
            {
                "groups": [
                    {
                        "code": group.code,
                        "source": group.source,
                        "events": group.events,
                        "replayed": group.replayed,
                        "first_at": group.first_at,
                        "last_at": group.last_at,
                    }
                    for group in groups
                ],
                "events": [as_json(one) for one in newest],
            }
        )
        return
    if not groups:
        typer.echo("No refused event." if with_replayed else "No refused event that was not sent again (--all).")
        return
    print_table(
        (("code", "left"), ("source", "left"), ("events", "right"), ("first", "left"), ("last", "left")),
        [
            (
                group.code,
                cell(group.source) or "(unreadable)",
                f"{group.events:,}",
                moment(group.first_at),
                moment(group.last_at),
            )
            for group in groups
        ],
        whole=("code",),
    )
    print_table(
        (("position", "left"), ("code", "left"), ("why", "left")),
        [(str(one.place), state(one), one.message) for one in newest],
        whole=("position", "code"),
    )
    for found in sorted({group.code for group in groups}):
        advice = ADVICE.get(found)  # type: ignore[call-overload]
        if advice is not None:
            typer.echo(f"{found}: {advice.remedy}")


def show_command(
    context: typer.Context,
    position: Annotated[str, typer.Argument(help="TOPIC:PARTITION:OFFSET[:INDEX]; without a topic: usage.events.")],
    json: Json = False,
) -> None:
    """Show one refused event: what it says, what is wrong, and what to do."""
    from sinks.corrections.rejected import at
    from streamgauge.cli.output import emit_json, moment
    from streamgauge.rejected.advice import ADVICE
    from streamgauge.rejected.reading import readable
    from streamgauge.rejected.replay import obstacle

    settings = settings_of(context)
    place = place_at(settings, position)
    with opened(settings) as database:
        found = at(database, place)
    if not found:
        raise LookupError(f"no refused event stands at {place}: `streamgauge rejected list` has those that do")
    outcomes = topic_names_of(settings).outcomes
    if json:
        emit_json(
            [
                as_json(one)
                | {
                    "raw": readable(one.raw or b"", one.code, is_outcome=one.place.topic == outcomes),
                    "replayable": obstacle(one) is None,
                }
                for one in found
            ]
        )
        return
    for number, one in enumerate(found):
        if number:
            typer.echo("")
        advice = ADVICE.get(one.code)  # type: ignore[call-overload]
        typer.echo(f"{one.place}  refused {moment(one.appended_at)} UTC as {one.code}")
        typer.echo(f"  source    {one.source or '(unreadable)'}")
        typer.echo(f"  event id  {one.event_id or '(unreadable)'}")
        typer.echo(f"  why       {one.message}")
        typer.echo(f"  remedy    {advice.remedy if advice else 'this version does not know the code: upgrade'}")
        why = obstacle(one)
        if one.replayed is not None:
            typer.echo(f"  replayed  {moment(one.replayed.at)} UTC by {one.replayed.by} to {one.replayed.to}")
        elif why is not None:
            typer.echo(f"  replay    cannot help: {why}")
        cut = f", of which the first {len(one.raw or b''):,} were kept" if one.raw_truncated else ""
        typer.echo(f"  {one.raw_bytes:,} bytes{cut}:")
        for line in readable(one.raw or b"", one.code, is_outcome=one.place.topic == outcomes):
            typer.echo(f"    {line}")


def replay_command(
    context: typer.Context,
    positions: Annotated[
        list[str] | None,
        typer.Argument(
            help="TOPIC:PARTITION:OFFSET[:INDEX] …; otherwise all that the options choose.", show_default=False
        ),
    ] = None,
    since: Since = None,
    code: Code = "",
    source: Source = "",
    topic: Topic = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 10_000,
    with_replayed: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    json: Json = False,
) -> None:
    """Send refused events again, once what refused them is mended.

    Each counts once when it passes, however often it is sent: its source and id tell. One that is refused again is a
    new rejection. A row that ClickHouse had refused is inserted at its own position; budgets have it already.
    """
    from streamgauge.rejected.replay import Outcome, obstacle

    if not positions and not (since or code or source or topic):
        raise typer.BadParameter("say which events: positions, or one of --since, --code, --source, --topic")
    settings = settings_of(context)
    filters = filters_of(settings, since, code, source, topic, with_replayed=with_replayed or bool(positions))
    with opened(settings) as database:
        chosen = _chosen(settings, database, positions or [], filters, limit)
        sender = replayer(settings, database)
        if dry_run:
            outcomes: Iterator[Outcome] = (
                Outcome(one, None, why) if (why := obstacle(one)) else Outcome(one, _planned(sender, one))
                for one in chosen
            )
        else:
            outcomes = sender.replay(chosen, datetime.now(UTC))
        sent, kept = _tell(outcomes, dry_run=dry_run, quiet=json)
    if json:
        _emit(sent, kept, dry_run=dry_run)
    elif not sent and not kept:
        typer.echo(
            "Nothing to send again: no refused event is left that the options choose (--all for those sent before)."
        )
    else:
        verb = "would be sent" if dry_run else "sent"
        typer.echo(f"{len(sent):,} {verb} again, {len(kept):,} not.")
    if kept and (positions or not sent):
        raise typer.Exit(1)


def _chosen(
    settings: Settings, database: Database, positions: list[str], filters: Filters, limit: int
) -> Iterator[Refused]:
    """Refused events with their bytes; bytes are read one position at a time, so that memory holds few."""
    from sinks.corrections.rejected import at, find

    if positions:
        for position in positions:
            place = place_at(settings, position)
            found = at(database, place)
            if not found:
                raise LookupError(f"no refused event stands at {place}: `streamgauge rejected list` has those that do")
            yield from found
        return
    for one in reversed(find(database, filters, limit)):
        yield from at(database, one.place)


def _tell(outcomes: Iterator[Outcome], *, dry_run: bool, quiet: bool) -> tuple[list[Outcome], list[Outcome]]:
    sent: list[Outcome] = []
    kept: list[Outcome] = []
    for outcome in outcomes:
        (kept if outcome.to is None else sent).append(outcome)
        if quiet:
            continue
        if outcome.to is None:
            typer.echo(f"{outcome.refused.place}  not sent: {outcome.why}")
        elif len(sent) <= 100:
            to = f"would go to {outcome.to.topic}:{outcome.to.partition}" if dry_run else f"went to {outcome.to}"
            typer.echo(f"{outcome.refused.place}  {to}")
        elif len(sent) == 101:
            typer.echo("…")
    return sent, kept


def _emit(sent: list[Outcome], kept: list[Outcome], *, dry_run: bool) -> None:
    from streamgauge.cli.output import emit_json

    emit_json(
        {
            "dry_run": dry_run,
            "sent": [{"position": str(one.refused.place), "to": str(one.to)} for one in sent],
            "not_sent": [{"position": str(one.refused.place), "why": one.why} for one in kept],
        }
    )


def _planned(replayer: Replayer, refused: Refused) -> Place:
    """Where it would go; the offset is not known yet."""
    from sinks.corrections.rejected import Place

    topic, partition = replayer.target(refused)
    return Place(topic, partition, -1)

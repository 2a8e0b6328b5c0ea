"""`streamgauge offsets`: how far each role has come on each partition, and `set` to move one by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from runtime.recovery import Target
    from runtime.standstill import Place

offsets = typer.Typer(help="How far each role has come on each partition.", no_args_is_help=False)


def add(app: typer.Typer, panel: str) -> None:
    app.add_typer(
        offsets,
        name="offsets",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge offsets",
            "streamgauge offsets --json",
            "streamgauge offsets set enrich usage.events:3 --to 120",
        ),
    )


@offsets.callback(invoke_without_command=True)
def show(context: typer.Context, json: Json = False) -> None:
    """How far each role has come on each partition, and what is wrong with it.

    Exits 1 when an offset lies outside its partition; what to do is printed.
    """
    if context.invoked_subcommand is not None:
        return
    from streamgauge.cli.output import emit_json, print_table
    from streamgauge.offsets import standings
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    settings = settings_of(context)
    connection = kafka_connection(settings)
    reach_kafka(connection)
    found = list(standings(connection, topic_names(settings)))
    wrong = [one.advice for one in found if one.advice is not None]
    if json:
        emit_json(
            [
                {
                    "role": one.role,
                    "group": one.group,
                    "topic": one.place.topic,
                    "partition": one.place.partition,
                    "committed": None if one.look.committed < 0 else one.look.committed,
                    "low": one.look.low,
                    "end": one.look.end,
                    "waiting": one.look.waiting,
                    "state": one.state,
                    "advice": one.advice,
                }
                for one in found
            ]
        )
    else:
        print_table(
            [
                ("role", "left"),
                ("topic", "left"),
                ("partition", "right"),
                ("begins", "right"),
                ("committed", "right"),
                ("end", "right"),
                ("waiting", "right"),
                ("", "left"),
            ],
            [
                (
                    one.role,
                    one.place.topic,
                    str(one.place.partition),
                    str(one.look.low),
                    "" if one.look.committed < 0 else str(one.look.committed),
                    str(one.look.end),
                    str(one.look.waiting),
                    "" if one.state == "ok" else one.state,
                )
                for one in found
            ],
        )
        for advice in wrong:
            typer.echo(advice)
    if wrong:
        raise typer.Exit(1)


@offsets.command(
    "set",
    epilog=examples(
        "streamgauge offsets set enrich usage.events:3 --to earliest",
        "streamgauge offsets set sink usage.rejected:0 --to 120",
    ),
)
def set_one(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="enrich, agents or sink.")],
    place: Annotated[str, typer.Argument(help="TOPIC:PARTITION, the topic with its prefix.")],
    to: Annotated[str, typer.Option(help="earliest, latest, or an offset.", show_default=False)],
    json: Json = False,
) -> None:
    """Set the offset at which a role goes on. Refused while the role runs.

    What lies between the old offset and the new one is read again, which changes nothing, or left out, which
    `streamgauge reconcile` will name.
    """
    from streamgauge.cli.output import emit_json
    from streamgauge.offsets import ROLES, move
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    known = next((one for one in ROLES if one == role), None)
    if known is None:
        raise typer.BadParameter(f"{role!r} is not one of {', '.join(ROLES)}", param_hint="ROLE")
    settings = settings_of(context)
    connection = kafka_connection(settings)
    reach_kafka(connection)
    before, offset = move(connection, topic_names(settings), known, _place(place), _target(to))
    left_from = max(before.look.committed, before.look.low)
    if json:
        emit_json(
            {
                "group": before.group,
                "topic": before.place.topic,
                "partition": before.place.partition,
                "before": None if before.look.committed < 0 else before.look.committed,
                "offset": offset,
                "left_out": max(0, offset - left_from),
            }
        )
        return
    was = "nothing was committed" if before.look.committed < 0 else f"was {before.look.committed}"
    typer.echo(f"{before.group}: {before.place.topic}[{before.place.partition}] goes on at {offset} ({was})")
    if offset > left_from:
        typer.echo(f"left out: {left_from} to {offset - 1}")


def _place(text: str) -> Place:
    from runtime.standstill import Place

    topic, _, partition = text.rpartition(":")
    if not topic or not partition.isdigit():
        raise typer.BadParameter(
            f"{text!r} is not TOPIC:PARTITION, such as usage.events:3", param_hint="TOPIC:PARTITION"
        )
    return Place(topic, int(partition))


def _target(text: str) -> Target:
    if text == "earliest":
        return "earliest"
    if text == "latest":
        return "latest"
    if not text.isdigit():
        raise typer.BadParameter(f"{text!r} is none of earliest, latest and an offset", param_hint="--to")
    return int(text)

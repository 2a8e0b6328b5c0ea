"""`streamgauge topics`: create what is missing and compare the rest, or print the access rights of each role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from runtime.connection import KafkaConnection
    from schemas.topics import Topics


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "topics",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge topics",
            "streamgauge topics --check --json",
            "streamgauge topics --grow-events 24",
            "streamgauge topics --acls --role sink",
        ),
    )(command)


def command(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Create nothing; exit 1 when something is missing.")] = False,
    acls: Annotated[
        bool, typer.Option("--acls", help="Print the access rights that each role needs, as kafka-acls commands.")
    ] = False,
    grow_events: Annotated[
        int | None,
        typer.Option(min=1, help="Grow usage.events and what follows its count to so many.", show_default=False),
    ] = None,
    role: Annotated[str | None, typer.Option(help="With --acls: of one role only.", show_default=False)] = None,
    principal: Annotated[
        str, typer.Option(help="With --acls: who is granted the rights; {role} is replaced.")
    ] = "User:streamgauge-{role}",
    json: Json = False,
) -> None:
    """Create the topics that are missing, and compare the rest.

    Partition counts that differ from the settings are refused, with the way to change them.
    """
    settings = settings_of(context)
    if acls:
        _acls(settings, role, principal, json)
        return
    from runtime.admin import create_topics, inspect_topics
    from streamgauge.cli.output import emit_json, print_table
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    connection, topics = kafka_connection(settings), topic_names(settings)
    reach_kafka(connection)
    if grow_events is not None:
        _grow(connection, topics, grow_events, json)
        return
    if check:
        states = inspect_topics(connection, topics)
    else:
        states = create_topics(connection, topics, settings.topics.replication)
    if json:
        emit_json(
            [
                {
                    "name": state.name,
                    "action": state.action,
                    "partitions": state.partitions,
                    "purpose": state.spec.purpose,
                    "drift": [
                        {"setting": one.setting, "found": one.found, "wanted": one.wanted} for one in state.drift
                    ],
                }
                for state in states
            ]
        )
    else:
        print_table(
            [("topic", "left"), ("", "left"), ("partitions", "right"), ("what for", "left")],
            [(state.name, state.action, str(state.partitions or ""), state.spec.purpose) for state in states],
        )
        for drift in (drift for state in states for drift in state.drift):
            typer.echo(f"{drift.topic}: {drift.setting} is {drift.found}, should be {drift.wanted}:")
            typer.echo(f"  {drift.command(connection.bootstrap)}")
    if any(state.action == "missing" for state in states):
        raise typer.Exit(1)


def _grow(connection: KafkaConnection, topics: Topics, wanted: int, json: bool) -> None:
    from runtime.grow import grow_events
    from streamgauge.cli.output import emit_json
    from streamgauge.cli.role import groups_of
    from streamgauge.offsets import ROLES

    groups = dict.fromkeys(group for role in ROLES for group in groups_of(role, topics).values())
    grown = grow_events(connection, topics, wanted, list(groups))
    if json:
        emit_json([{"name": name, "before": before, "after": after} for name, (before, after) in grown.items()])
        return
    for name, (before, after) in grown.items():
        typer.echo(f"{name}: {before} → {after} partitions")
    typer.echo(f"set topics.event_partitions = {wanted} for every role, then start enrich, agents and sink")


def _acls(settings: object, role: str | None, principal: str, json: bool) -> None:
    from runtime.access import ROLES, rights
    from streamgauge.cli.output import emit_json
    from streamgauge.settings import Settings
    from streamgauge.settings.convert import topic_names

    assert isinstance(settings, Settings)
    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"{role!r} is not a role; there are {', '.join(ROLES)}", param_hint="--role")
    wanted = [
        right for right in rights(topic_names(settings), settings.kafka.client_id) if role is None or right.role == role
    ]
    if json:
        emit_json(
            [
                {
                    "role": right.role,
                    "principal": principal.replace("{role}", right.role),
                    "resource": right.resource,
                    "name": right.name,
                    "pattern": "prefixed" if right.prefixed else "literal",
                    "operations": list(right.operations),
                }
                for right in wanted
            ]
        )
        return
    previous = None
    for right in wanted:
        if right.role != previous:
            typer.echo(f"# {right.role}")
            previous = right.role
        typer.echo(right.command(settings.kafka.bootstrap, principal.replace("{role}", right.role)))

"""`streamgauge schemas`: our Avro schemas, and what a schema registry holds of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from schemas.avro_schemas import EventName
    from streamgauge.registry import Registry, Subject
    from streamgauge.settings import Settings


class NoRegistry(RuntimeError):
    """No schema registry is configured."""


def add(app: typer.Typer, panel: str) -> None:
    group = typer.Typer(
        help="Show our Avro schemas, compare and register them with a schema registry.", no_args_is_help=True
    )
    group.command("list", epilog=examples("streamgauge schemas list", "streamgauge schemas list --json"))(list_schemas)
    group.command("show", epilog=examples("streamgauge schemas show usage_event > usage_event.avsc"))(show)
    group.command(
        "register", epilog=examples("STREAMGAUGE_REGISTRY__URL=http://registry:8081 streamgauge schemas register")
    )(register)
    app.add_typer(
        group,
        name="schemas",
        rich_help_panel=panel,
        epilog=examples("streamgauge schemas list", "streamgauge schemas register"),
    )


def list_schemas(context: typer.Context, json: Json = False) -> None:
    """List every version of every event, with its fingerprint; and the registry's, where one is configured."""
    from schemas.avro_schemas import CURRENT, avro_schema
    from streamgauge.cli.output import emit_json, print_table

    settings = settings_of(context)
    rows = [
        (name, version, avro_schema(name, version).crc64.hex(), version == newest)
        for name, newest in CURRENT.items()
        for version in range(1, newest + 1)
    ]
    registry = _registry(settings)
    subjects = [registry.subject(*one) for one in _subjects(settings)] if registry is not None else []
    if json:
        emit_json(
            {
                "schemas": [
                    {"name": name, "version": version, "crc64": crc, "current": current}
                    for name, version, crc, current in rows
                ],
                "registry": [_as_json(subject) for subject in subjects],
            }
        )
        return
    print_table(
        [("event", "left"), ("version", "right"), ("CRC-64-AVRO", "left"), ("", "left")],
        [(name, str(version), crc, "current" if current else "") for name, version, crc, current in rows],
    )
    if registry is None:
        typer.echo(
            "No schema registry is configured (registry.url): producers write Avro single-object framing or JSON."
        )
    else:
        _table(subjects)


def show(
    name: Annotated[str, typer.Argument(help="usage_event, usage_event_batch or outcome_event.")],
    version: Annotated[
        int | None, typer.Option(help="A version; otherwise the current one.", show_default=False)
    ] = None,
) -> None:
    """Print one schema as JSON."""
    import json as json_module

    from schemas.avro_schemas import CURRENT, avro_schema

    known = next((one for one in CURRENT if one == name), None)
    if known is None:
        raise typer.BadParameter(f"{name!r} is not an event; there are {', '.join(CURRENT)}")
    try:
        text = avro_schema(known, version).text
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="--version") from None
    typer.echo(json_module.dumps(json_module.loads(text), indent=2))


def register(context: typer.Context, json: Json = False) -> None:
    """Register the current schemas under TOPIC-value with FULL_TRANSITIVE compatibility. Twice is no change."""
    from streamgauge.cli.output import emit_json

    settings = settings_of(context)
    registry = _registry(settings)
    if registry is None:
        raise NoRegistry(
            "no schema registry is configured: set STREAMGAUGE_REGISTRY__URL, such as http://registry:8081"
        )
    subjects = [registry.register(*one) for one in _subjects(settings)]
    if json:
        emit_json([_as_json(subject) for subject in subjects])
    else:
        _table(subjects)


def _registry(settings: Settings) -> Registry | None:
    from streamgauge.cli.role import schema_source

    return schema_source(settings)


def _subjects(settings: Settings) -> list[tuple[str, EventName]]:
    from streamgauge.registry import subjects_of
    from streamgauge.settings.convert import topic_names

    return subjects_of(topic_names(settings))


def _as_json(subject: Subject) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(subject)


def _table(subjects: list[Subject]) -> None:
    from streamgauge.cli.output import print_table

    print_table(
        [
            ("subject", "left"),
            ("event", "left"),
            ("registry has", "left"),
            ("id", "right"),
            ("version", "right"),
            ("compatibility", "left"),
        ],
        [
            (
                one.name,
                one.event,
                one.state,
                _text(one.schema_id),
                _text(one.version),
                one.compatibility or "the registry's",
            )
            for one in subjects
        ],
    )


def _text(value: int | None) -> str:
    return "" if value is None else str(value)

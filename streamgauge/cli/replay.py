"""`streamgauge replay FILE`: a trace of real calls onto `usage.events`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from sources.replay import ReplayConfig, ReplaySummary


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "replay",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge replay azure_llm_inference_2023_conv.csv --format azure-llm",
            "streamgauge replay mooncake.jsonl --format mooncake --start 2026-11-01 --teams search,support",
            "streamgauge replay events.jsonl --format events-jsonl --speed 60",
        ),
    )(command)


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The trace.", show_default=False)],
    format: Annotated[
        Literal["azure-llm", "mooncake", "events-jsonl"],
        typer.Option(
            help="What the file holds: azure-llm, mooncake or events-jsonl.", metavar="FORMAT", show_default=False
        ),
    ],
    speed: Annotated[str, typer.Option(help="max, or a factor of the trace's own pace: 1, 60, …")] = "max",
    teams: Annotated[
        str | None,
        typer.Option(help="Who the calls are given to: names joined by commas, or how many.", show_default=False),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model of the calls.", show_default=False)] = None,
    provider: Annotated[str | None, typer.Option(help="The provider of the calls.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of the rule that gives calls to teams.")] = 0,
    start: Annotated[
        datetime | None, typer.Option(help="Moment of a relative time 0 (mooncake), UTC.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Send a trace as usage events.

    Replaying it again is counted once: event ids depend on the file and the rule alone.
    """
    from sources.replay import replay
    from streamgauge.cli.output import emit_json
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, topic_names

    settings = settings_of(context)
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not a file", param_hint="FILE")
    config = _config(file, format, speed, teams, model, provider, seed, start)
    connection, topics = (
        kafka_connection(settings, client_id=f"{settings.kafka.client_id}.replay"),
        topic_names(settings),
    )
    reach_kafka(connection)
    from streamgauge.cli.progress import counting

    with counting("events sent", quiet=json) as progress:
        summary = replay(config, connection, topics, progress)
    if json:
        emit_json(_as_json(summary))
    else:
        _tell(summary)


def _config(
    file: Path,
    format: Literal["azure-llm", "mooncake", "events-jsonl"],
    speed: str,
    teams: str | None,
    model: str | None,
    provider: str | None,
    seed: int,
    start: datetime | None,
) -> ReplayConfig:
    from datetime import UTC

    from sources.replay import ReplayConfig
    from sources.replay.config import DEFAULT_START, parse_teams

    try:
        return ReplayConfig(
            path=file,
            format=format,
            speed=None if speed == "max" else float(speed),
            teams=parse_teams(teams) if teams is not None else None,
            model=model,
            provider=provider,
            seed=seed,
            start=start.replace(tzinfo=UTC) if start is not None else DEFAULT_START,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _as_json(summary: ReplaySummary) -> dict[str, object]:
    from dataclasses import asdict

    from streamgauge.cli.output import instant

    return {
        **asdict(summary),
        "first_event": instant(summary.first_event) if summary.first_event else None,
        "last_event": instant(summary.last_event) if summary.last_event else None,
        "wall_s": round(summary.wall_s, 3),
        "events_by_team": dict(summary.events_by_team),
        "events_per_s": round(summary.events_per_s),
    }


def _tell(summary: ReplaySummary) -> None:
    from streamgauge.cli.output import moment

    typer.echo(
        f"{summary.delivered:,} events in {summary.wall_s:.1f} s ({summary.events_per_s:,.0f} a second), "
        f"event time {moment(summary.first_event)} to {moment(summary.last_event)} UTC, source {summary.source}."
    )
    typer.echo(f"{summary.input_tokens:,} input tokens, {summary.output_tokens:,} output tokens.")
    if summary.unreadable:
        typer.echo(
            f"{summary.unreadable:,} lines are not readable events; the pipeline refuses them with a reason each."
        )
    typer.echo(summary.note)
    typer.echo('Next: streamgauge query "SELECT count(), sum(input_tokens), sum(output_tokens) FROM usage_events"')

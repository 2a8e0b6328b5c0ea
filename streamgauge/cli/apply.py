"""`streamgauge apply FILE…`: what people decided, into force; all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.options import Json, examples, settings_of

if TYPE_CHECKING:
    from runtime.connection import KafkaConnection
    from schemas.control.snapshot import ControlSnapshot
    from schemas.topics import Topics
    from streamgauge.apply import Plan
    from streamgauge.apply.effects import Effect


def add(app: typer.Typer, panel: str) -> None:
    app.command(
        "apply",
        rich_help_panel=panel,
        epilog=examples(
            "streamgauge apply governance/",
            "streamgauge apply --dry-run directory.yaml budgets.yaml",
            "streamgauge apply --prune governance/ --json",
        ),
    )(command)


def command(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", show_default=False)],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would change, and what it would do to today's states; change nothing."
        ),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Also delete what is in force but no longer in the files, of the kinds they have."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Check and publish what files say: directory, use cases, models, budgets, policies, exceptions, prices and more.

    Errors name file, line and field, and nothing is applied if anything is wrong. Running workers take it up at once.
    """
    from datetime import UTC, datetime

    from runtime.control_log import ControlLog
    from schemas.control.base import moment_us
    from streamgauge.apply import Overtaken, load_files, make_plan, publish_plan
    from streamgauge.apply.activities import activity_notes
    from streamgauge.apply.effects import effects_of
    from streamgauge.apply.standing import StandingHidden, read_standing
    from streamgauge.apply.telling import as_data, told
    from streamgauge.cli.output import emit_json, print_table
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import kafka_connection, reveal, topic_names

    settings = settings_of(context)
    key = reveal(settings.enrich.user_key)
    loaded = load_files(files, key.encode() if key is not None else None)
    connection, topics = kafka_connection(settings), topic_names(settings)
    reach_kafka(connection)
    now = datetime.now(UTC)
    now_us = moment_us(now)
    log = ControlLog(connection, topics.control)
    try:
        current = log.read_to_end()
        plan = make_plan(loaded, current, prune=prune, now_us=now_us)

        def unmoved() -> None:
            if log.read_to_end().records != current.records:
                raise Overtaken

        if not dry_run:
            publish_plan(plan, connection, topics, check=unmoved)
    finally:
        log.close()
    effects: tuple[Effect, ...] = ()
    notes = [*plan.notes, *activity_notes(plan, now_us)]
    if dry_run:
        try:
            effects = effects_of(plan, current, read_standing(connection, topics, now), now_us)
        except StandingHidden as hidden:
            notes.append(f"what it would do to today's states is not told: {hidden}")
        if any(change.key.startswith("activity/") for change in plan.changes):
            notes += _quieted(plan, connection, topics, plan.applied_to(current), now_us)
    if json:
        emit_json(as_data(plan, effects, notes, applied=not dry_run))
        return
    if dry_run:
        typer.echo("\n".join(told(plan, effects)), nl=bool(plan.changes))
    elif plan.changes:
        print_table([("", "left"), ("record", "left")], [(change.action, change.key) for change in plan.changes])
    for note in notes:
        typer.echo(f"note: {note}")
    if not dry_run and any(change.action == "create" and change.key.startswith("budget/") for change in plan.changes):
        typer.echo(
            "A new budget counts its whole running period; until ClickHouse has been asked for it, it is `unknown`."
        )
    done = "would change" if dry_run else "changed"
    rest = f", {plan.unmanaged} in force but not in these files (--prune deletes them)" if plan.unmanaged else ""
    typer.echo(f"{len(plan.changes)} {done}, {plan.unchanged} as before{rest}.")


def _quieted(plan: Plan, connection: KafkaConnection, topics: Topics, after: ControlSnapshot, now_us: int) -> list[str]:
    """Open alerts that planned activities would cover; nothing where this login may not read alerts."""
    from confluent_kafka import KafkaError, KafkaException

    from streamgauge.alerts.reading import fold, read_alerts
    from streamgauge.apply.activities import quieted
    from streamgauge.tail import TopicMissing

    try:
        stories = fold(read_alerts(connection, topics.alerts, lambda _why: None))
    except TopicMissing as missing:
        return [f"which alerts it would quiet is not told: {missing}"]
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise
        return [f"which alerts it would quiet is not told: this login may not read {topics.alerts}"]
    return list(quieted(plan, [story.last for story in stories.values()], after, now_us))

"""`streamgauge check`: may this call be made? `serve` answers gateways over HTTP, `ask` answers one question here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamgauge.cli.options import Json, examples, settings_of
from streamgauge.cli.output import Align

if TYPE_CHECKING:
    from streamgauge.checking.answer import Answer
    from streamgauge.settings import Settings

check = typer.Typer(
    help="May this call be made? What budgets and policies say, before it is.",
    no_args_is_help=True,
    epilog=examples("streamgauge check ask --team search --model gpt-4o", "streamgauge check serve"),
)

_COLUMNS: Final[tuple[tuple[str, Align], ...]] = (
    ("what", "left"),
    ("state", "left"),
    ("mode", "left"),
    ("says", "left"),
    ("why", "left"),
)


def add(app: typer.Typer, panel: str) -> None:
    app.add_typer(check, name="check", rich_help_panel=panel)


@check.command(
    epilog=examples(
        "streamgauge check serve",
        "STREAMGAUGE_CHECK__HOST=0.0.0.0 STREAMGAUGE_HTTP__PORT=9104 streamgauge check serve",
        'curl -d \'{"team_id": "search", "model": "gpt-4o"}\' http://127.0.0.1:8450/check',
    )
)
def serve(context: typer.Context) -> None:
    """Answer gateways over HTTP, until Ctrl-C or SIGTERM: allow, warn, needs_acknowledgement or stop, why, how fresh.

    Not a lock: it answers from what was counted, and calls that are under way are counted afterwards. It keeps nothing;
    run as many as you like. Where Kafka is away it goes on with what it knows and says how old that is: by default it
    fails open with a warning (check.stale).
    """
    from streamgauge.settings.convert import check_config

    settings = settings_of(context)
    check_config(settings)
    _serve(settings)


def _serve(settings: Settings) -> None:
    from prometheus_client import CollectorRegistry

    from runtime.clock import SystemClock
    from runtime.endpoint import Endpoint
    from runtime.health import Health
    from runtime.logs import configure_logs
    from streamgauge.checking.serve import serve as run
    from streamgauge.settings.convert import check_config, kafka_connection, topic_names

    configure_logs(settings.logs.level, settings.logs.form, role="check")
    registry, health = CollectorRegistry(), Health(stall_s=settings.http.stall_s)
    connection = kafka_connection(settings, client_id=f"{settings.kafka.client_id}.check")
    endpoint = Endpoint(health, registry, settings.http.host, settings.http.port) if settings.http.port else None
    if endpoint is not None:
        endpoint.start()
    try:
        run(connection, topic_names(settings), check_config(settings), SystemClock(), registry, health)
    finally:
        if endpoint is not None:
            endpoint.stop()


@check.command(
    epilog=examples(
        "streamgauge check ask --team search --model gpt-4o",
        "streamgauge check ask --team search --use-case triage --stage production --json | jq .decision",
    )
)
def ask(
    context: typer.Context,
    team: Annotated[str | None, typer.Option(help="The team.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="The model.", show_default=False)] = None,
    provider: Annotated[str | None, typer.Option(help="Who serves it.", show_default=False)] = None,
    project: Annotated[str | None, typer.Option(help="The project.", show_default=False)] = None,
    use_case: Annotated[str | None, typer.Option(help="What it is for.", show_default=False)] = None,
    workflow: Annotated[str | None, typer.Option(help="The workflow.", show_default=False)] = None,
    user: Annotated[str | None, typer.Option(help="The person; needs the user key.", show_default=False)] = None,
    credential: Annotated[str | None, typer.Option(help="The key that is used.", show_default=False)] = None,
    source: Annotated[str | None, typer.Option(help="Who sends.", show_default=False)] = None,
    stage: Annotated[str | None, typer.Option(help="exploratory or production.", show_default=False)] = None,
    data_class: Annotated[str | None, typer.Option(help="What data it carries.", show_default=False)] = None,
    approval: Annotated[str | None, typer.Option(help="An exception that permits it.", show_default=False)] = None,
    cost_usd: Annotated[str | None, typer.Option(help="What it will cost, if known.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Ask one question here, without a server: every budget that would count the call, and every policy about it.

    Exits 0 whatever the answer is. It is read from the topics as they stand; like the server's, it is not a lock.
    """
    from streamgauge.checking.question import from_values
    from streamgauge.cli.output import emit_json

    given = {
        "team_id": team,
        "model": model,
        "provider": provider,
        "project_id": project,
        "use_case": use_case,
        "workflow": workflow,
        "user_id": user,
        "credential_id": credential,
        "source": source,
        "stage": stage,
        "data_class": data_class,
        "approval": approval,
        "estimated_cost_usd": cost_usd,
        "explain": True,
    }
    told = _ask(settings_of(context), from_values(given))
    if json:
        emit_json(told.as_json())
        return
    _print(told)


def _ask(settings: Settings, question: object) -> Answer:
    from runtime.clock import SystemClock
    from runtime.control_log import ControlLog
    from streamgauge.checking.judge import Known, answer
    from streamgauge.checking.question import Question
    from streamgauge.checking.rulebook import compile_rulebook
    from streamgauge.checking.statuses import Statuses
    from streamgauge.reach import reach_kafka
    from streamgauge.settings.convert import check_config, kafka_connection, topic_names
    from streamgauge.tail import TopicMissing, read_topic

    assert isinstance(question, Question)
    connection, topics, config = kafka_connection(settings), topic_names(settings), check_config(settings)
    reach_kafka(connection)
    log = ControlLog(connection, topics.control)
    try:
        rulebook = compile_rulebook(log.read_to_end(), config.user_key)
    finally:
        log.close()
    statuses, personal = Statuses(), config.personal
    for record in read_topic(connection, topics.status):
        if record.key is not None:
            statuses.take(record.key, record.value)
    if personal and rulebook.budgets.has_personal:
        try:
            for record in read_topic(connection, topics.status_users):
                if record.key is not None:
                    statuses.take(record.key, record.value, topics.status_users)
        except TopicMissing:
            personal = False
    return answer(question, Known(rulebook, statuses, 0.0, personal), config, SystemClock().now_us())


def _print(told: Answer) -> None:
    from datetime import datetime

    from streamgauge.cli.output import moment, print_table

    typer.echo(f"{told.decision.replace('_', ' ')}{'' if told.decision == 'allow' else ': ' + told.headline}")
    for field, claim in sorted(told.lost.items()):
        held = told.resolved.get(field)
        # Only a use case can be left without another in its place: its document lists other teams.
        typer.echo(f"{field} {claim} is not counted: it is {held or 'of other teams'}")
    if told.reasons:
        print_table(
            _COLUMNS,
            [
                (
                    one.id,
                    one.state,
                    one.mode or "",
                    (one.would and f"{one.decision} (would {one.would})") or one.decision,
                    one.text,
                )
                for one in told.reasons
            ],
            whole=("state",),
        )
    else:
        typer.echo("No budget counts such a call, and no policy speaks of it.")
    if told.freshness.watermark is not None:
        counted = moment(datetime.fromisoformat(told.freshness.watermark))
        typer.echo(f"Counted up to {counted} UTC of event time; not a lock: calls under way are counted later.")

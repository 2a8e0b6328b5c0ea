"""`streamgauge alerts ack|expected|noise`: what somebody on call says of an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamgauge.cli.alerts_show import AlertId
from streamgauge.cli.options import Json, settings_of

if TYPE_CHECKING:
    from schemas.alerts import Said

Note = Annotated[str | None, typer.Option("--note", help="A word on why.", show_default=False)]
By = Annotated[
    str | None, typer.Option("--by", help="Who says so; otherwise your login name here.", show_default=False)
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for what the agents make of it, a minute at most.")]
Clear = Annotated[bool, typer.Option("--clear", help="Take back what was said of it, whichever of the three.")]


def ack_command(
    context: typer.Context,
    alert: AlertId,
    note: Note = None,
    by: By = None,
    wait: Wait = False,
    clear: Clear = False,
    json: Json = False,
) -> None:
    """Say that somebody is on it. A spike goes on, and is told next when it is over."""
    _say(context, alert, "acknowledged", note, by, wait=wait, clear=clear, json=json)


def expected_command(
    context: typer.Context,
    alert: AlertId,
    note: Note = None,
    by: By = None,
    wait: Wait = False,
    clear: Clear = False,
    json: Json = False,
) -> None:
    """Say that it is real and known. A spike is resolved at once, is quiet until calm, and teaches nothing."""
    _say(context, alert, "expected", note, by, wait=wait, clear=clear, json=json)


def noise_command(
    context: typer.Context,
    alert: AlertId,
    note: Note = None,
    by: By = None,
    wait: Wait = False,
    clear: Clear = False,
    json: Json = False,
) -> None:
    """Say that it was not worth a page. A spike is resolved at once, and its level is taken as usual."""
    _say(context, alert, "noise", note, by, wait=wait, clear=clear, json=json)


def _say(
    context: typer.Context,
    given: str,
    said: Said,
    note: str | None,
    by: str | None,
    *,
    wait: bool,
    clear: bool,
    json: bool,
) -> None:
    from streamgauge.alerts import feedback
    from streamgauge.alerts.answer import await_answer
    from streamgauge.alerts.reading import find
    from streamgauge.cli.alerts_desk import open_alerts
    from streamgauge.cli.output import emit_json
    from streamgauge.exceptions.standing import now_utc

    if clear and (wait or note):
        raise typer.BadParameter("it takes back what was said: --note and --wait have no meaning", param_hint="--clear")
    at = open_alerts(settings_of(context))
    story = find(given, at.stories)
    desk, before = at.desk, at.feedback.get(story.alert_id)
    if clear:
        gone = feedback.clear(story, desk.snapshot, desk.connection, desk.topics)
        told = feedback.consequence_of_clearing(story, gone)
        if json:
            emit_json({"alert_id": story.alert_id, "cleared": gone.model_dump(mode="json"), "consequence": told})
        else:
            typer.echo(f"{story.alert_id}: {gone.said} by {gone.by} is taken back: {told}.")
        return
    record = feedback.make(story, said, by or _login(), note, now_utc())
    feedback.publish(record, desk.snapshot, desk.connection, desk.topics)
    told = feedback.consequence(story, said, before)
    awaited = wait and feedback.will_be_answered(story, said, before)
    if not json:
        instead = f", instead of {before.said} by {before.by}" if before is not None else ""
        typer.echo(f"{story.alert_id}: {said} by {record.by}{instead}: {told}.")
    answer = await_answer(desk.connection, desk.topics.alerts, at.after, story, said) if awaited else None
    if json:
        emit_json(
            {
                "feedback": record.model_dump(mode="json"),
                "open": story.is_open,
                "consequence": told,
                "answer": None if answer is None else answer.model_dump(mode="json"),
            }
        )
    elif answer is not None:
        typer.echo(f"{answer.state}: {answer.summary}")


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise typer.BadParameter("your login has no name here: say who you are", param_hint="--by") from error

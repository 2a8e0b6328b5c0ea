"""`streamgauge alerts show`: one alert, whole."""

from __future__ import annotations

from typing import Annotated

import typer

from streamgauge.cli.options import Json, settings_of

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="Its id, or the beginning of it.", show_default=False)]


def show_command(
    context: typer.Context,
    alert: AlertId,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, to begin a postmortem with.")] = False,
    json: Json = False,
) -> None:
    """Show one alert whole: what was told and when, causes and carriers with the rest, impact, what people said."""
    from streamgauge.alerts.postmortem import postmortem
    from streamgauge.alerts.reading import find
    from streamgauge.alerts.story_text import story_lines
    from streamgauge.cli.alerts_desk import open_alerts
    from streamgauge.cli.output import console, emit_json

    if markdown and json:
        raise typer.BadParameter("give one of --markdown and --json", param_hint="--markdown")
    at = open_alerts(settings_of(context), to_look=True)
    story = find(alert, at.stories)
    feedback = at.feedback.get(story.alert_id)
    if json:
        emit_json(
            {
                "alert_id": story.alert_id,
                "open": story.is_open,
                "states": [one.model_dump(mode="json") for one in story.states],
                "feedback": None if feedback is None else feedback.model_dump(mode="json"),
            }
        )
    elif markdown:
        typer.echo(postmortem(story, feedback), nl=False)
    else:
        typer.echo("\n".join(story_lines(story, feedback, console().width)))

"""`streamgauge alerts precision`: what people made of the alerts they were told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from streamgauge.cli.options import Json, settings_of


def precision_command(
    context: typer.Context,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", help="Cut by kind, incident, team or week; may be repeated. Kind and incident.", show_default=False
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Alerts that began since then.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count alerts by what people said of them: acknowledged, expected, noise, or nothing.

    Read from the topics, which keep alerts for 90 days; the view alert_precision in ClickHouse has those before.
    Precision is the share of answered alerts that were not noise.
    """
    from dataclasses import asdict

    from streamgauge.alerts.figures import percent
    from streamgauge.alerts.precision import PARTS, measure
    from streamgauge.cli.alerts_desk import open_alerts
    from streamgauge.cli.output import emit_json, print_table

    wrong = [one for one in by or () if one not in PARTS]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is none of {', '.join(PARTS)}", param_hint="--by")
    parts = tuple(part for part in PARTS if part in (by or ("kind", "incident")))
    at = open_alerts(settings_of(context), to_look=True)
    start = None if since is None else since.replace(tzinfo=UTC).date()
    rows = measure(at.stories.values(), at.feedback, parts, start)
    if json:
        emit_json(
            [
                {
                    **dict(zip(parts, one.key, strict=True)),
                    **{name: count for name, count in asdict(one).items() if name != "key"},
                    "unanswered": one.unanswered,
                    "precision": one.share,
                }
                for one in rows
            ]
        )
        return
    if not rows:
        typer.echo("No alert was told." if start is None else f"No alert that began since {start} was told.")
        return
    print_table(
        [
            *((part, "left") for part in parts),
            *((name, "right") for name in ("told", "acknowledged", "expected", "noise", "unanswered", "precision")),
        ],
        [
            (
                *one.key,
                *(f"{count:,}" for count in (one.told, one.acknowledged, one.expected, one.noise, one.unanswered)),
                "" if one.share is None else percent(one.share),
            )
            for one in rows
        ],
    )

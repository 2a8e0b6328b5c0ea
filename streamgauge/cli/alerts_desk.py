"""In: settings. Out: all alerts as stories, what people said of them, and where to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from schemas.control.feedback import AlertFeedback
    from streamgauge.alerts.reading import Story
    from streamgauge.cli.signing_options import Desk
    from streamgauge.settings import Settings


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """`after`: the offset behind the last record read."""

    desk: Desk
    stories: Mapping[str, Story]
    after: int

    @property
    def feedback(self) -> Mapping[str, AlertFeedback]:
        return self.desk.snapshot.feedback


def open_alerts(settings: Settings, *, to_look: bool = False) -> AlertDesk:
    """Reads the control log first, so that a word on an alert is never newer than the alerts. `to_look`: a login that
    may not read the control log goes without.
    """
    from streamgauge.alerts.reading import Stories, parse
    from streamgauge.cli.signing_options import open_desk
    from streamgauge.tail import read_topic

    desk = open_desk(settings, to_look=to_look)
    stories, after = Stories(), 0
    for record in read_topic(desk.connection, desk.topics.alerts):
        after = record.offset + 1
        alert = parse(record, lambda why: typer.echo(f"streamgauge: {why}", err=True))
        if alert is not None:
            stories.take(alert)
    return AlertDesk(desk, stories.all(), after)

"""In: alerts. Out: a few lines each, as people read them: who, how bad, since when, what it costs; at most as wide as
the terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

import typer

from schemas.alerts import Alert, AlertState, Severity
from streamgauge.alerts.figures import about, impact_text, incident_text, printable
from streamgauge.alerts.reading import Story, short
from streamgauge.cli.output import moment

_COLOURS: Final[dict[Severity, str]] = {"critical": "red", "warning": "yellow", "info": "cyan"}
#: One letter's width each, so that states of one alert are told apart at a glance.
_MARKS: Final[dict[AlertState, str]] = {"firing": "▲", "updated": "△", "resolved": "✓"}
_INDENT: Final = " " * 4


def listed(story: Story, width: int) -> Iterator[str]:
    """One alert as it stands now."""
    alert = story.last
    since = moment(story.first.occurred_at)
    stands = f"since {since}" if story.is_open else f"{since} to {moment(alert.window.end)}, over"
    yield _head(alert, stands)
    yield from _body(alert, width)


def followed(alert: Alert, width: int) -> Iterator[str]:
    """One state change as it comes; `evaluated_at` is when it was told."""
    told = {"firing": "began", "updated": f"update {alert.revision}", "resolved": "over"}[alert.state]
    yield f"{moment(alert.evaluated_at)}  {_head(alert, f'{told}{_since(alert)}')}"
    yield from _body(alert, width)


def _since(alert: Alert) -> str:
    return "" if alert.state == "firing" else f", since {moment(alert.occurred_at)}"


def _head(alert: Alert, stands: str) -> str:
    colour = "green" if alert.state == "resolved" else _COLOURS[alert.severity]
    mark = typer.style(f"{_MARKS[alert.state]} {alert.severity:<8}", fg=colour, bold=alert.state == "firing")
    name = typer.style(short(alert.alert_id), bold=True)
    return f"{mark}  {name}  {printable(about(alert))}  {stands}"


def _body(alert: Alert, width: int) -> Iterator[str]:
    yield from _wrapped(alert.summary, width)
    more = [
        impact_text(alert),
        incident_text(alert),
        alert.behind,
        f"planned: {alert.activity}" if alert.activity else None,
        alert.said,
        "old time" if alert.historical else None,
    ]
    # What a spike's summary has said needs no second line.
    told = " · ".join(part for part in more if part and part not in alert.summary)
    if told:
        yield from (typer.style(line, dim=True) for line in _wrapped(told, width))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), max(width, 40), initial_indent=_INDENT, subsequent_indent=_INDENT)

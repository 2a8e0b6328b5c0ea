"""In: a source in trouble or silent. Out: the alert, in sentences for whoever sends."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Final

from runtime.clock import to_datetime
from schemas.alerts import Alert, AlertKind, AlertScope, AlertState, AlertWindow, Cause, Link, alert_id
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import UNREADABLE_SOURCE
from streams.agents.ingest.advice import action, meaning
from streams.agents.ingest.source import Source, Trouble, Window
from streams.agents.owners import source_team, team_owner
from streams.agents.queries import literal

_MINUTE_US: Final = 60_000_000
#: Codes that an alert names; the rest is left to the query.
_CAUSES: Final = 5


def quality_alert(
    source: str, trouble: Trouble, state: AlertState, now_minute: int, control: ControlSnapshot, now_us: int
) -> Alert:
    """One state of a rise of rejections."""
    seen = trouble.seen
    share = seen.rejected / seen.events
    ranked = sorted(seen.refused.items(), key=lambda item: (-item[1], item[0]))
    causes = tuple(
        Cause(factor=code, label=f"{events:,} events: {meaning(code)}", delta=events, share=events / seen.rejected)
        for code, events in ranked[:_CAUSES]
    )
    who = "Events whose source cannot be read" if source == UNREADABLE_SOURCE else f"Events of source {source}"
    since = f"{to_datetime(seen.start * _MINUTE_US):%H:%M} UTC"
    figures = f"{seen.rejected:,} of {seen.events:,} ({share:.0%})"
    if state == "resolved":
        summary = f"{who} are accepted again; since {since} {figures} were refused."
    else:
        summary = f"{who} are refused: {figures} since {since}, most with code {ranked[0][0]}."
    end = now_minute if state != "resolved" else max(trouble.end, seen.start + 1)
    return _alert(
        "ingest_quality",
        source,
        (seen.start, end),
        state,
        trouble.revision,
        control,
        now_us,
        severity="critical" if 2 * seen.rejected >= seen.events else "warning",
        observed=seen.rejected,
        expected=round(trouble.usual),
        summary=summary,
        explanation=causes,
        unexplained_share=1.0 - sum(cause.share for cause in causes),
        suggested_action="None." if state == "resolved" else action(ranked[0][0]),
    )


def silence_alert(
    name: str, source: Source, state: AlertState, since: int, now_minute: int, control: ControlSnapshot, now_us: int
) -> Alert:
    """One state of a silence that began after minute `since`."""
    minutes = now_minute - since
    gap = max(source.gaps.values(), default=0)
    last = f"{to_datetime(since * _MINUTE_US):%-d %B %H:%M} UTC"
    if state == "firing":
        summary = (
            f"Source {name} has sent nothing for {_span(minutes)}, since {last}: its longest pause of the last week "
            f"was {_span(gap)}."
        )
    elif source.last > since:
        summary = f"Source {name} sends again, after {_span(minutes)} of silence since {last}."
    else:
        summary = f"Source {name} has sent nothing since {last} and is taken to be gone for good."
    expected = round(source.events * minutes / max(1, source.last - source.first))
    return _alert(
        "source_silent",
        name,
        (since, now_minute),
        state,
        0 if state == "firing" else 1,
        control,
        now_us,
        severity="warning",
        observed=0,
        expected=expected,
        summary=summary,
        suggested_action="Look whether it runs, reaches Kafka and still reports: its use is not counted meanwhile."
        if state == "firing"
        else "None.",
    )


def silence_id(name: str, since: int) -> str:
    return alert_id("source_silent", name, since * _MINUTE_US)


def quality_id(name: str, seen: Window) -> str:
    return alert_id("ingest_quality", name, seen.start * _MINUTE_US)


def _alert(
    kind: AlertKind,
    source: str,
    span: tuple[int, int],
    state: AlertState,
    revision: int,
    control: ControlSnapshot,
    now_us: int,
    **more: object,
) -> Alert:
    start_us, end_us = span[0] * _MINUTE_US, span[1] * _MINUTE_US
    team = source_team(source, start_us, control)
    owner, contact = (None, None) if team is None else team_owner(team, start_us, control)
    fields: dict[str, object] = {
        "alert_id": alert_id(kind, source, start_us),
        "revision": revision,
        "kind": kind,
        "state": state,
        # Broker time is never old: a replay of old events is sent now.
        "historical": False,
        "scope": AlertScope(team=team, source=source),
        "owner": owner,
        "contact": contact,
        "window": AlertWindow(start=to_datetime(start_us), end=to_datetime(end_us)),
        "unit": "calls",
        "links": (Link(rel="query", href=_query(kind, source, start_us, end_us)),),
        "occurred_at": to_datetime(start_us),
        "evaluated_at": to_datetime(now_us),
    }
    return Alert.model_validate(fields | more)


def _query(kind: AlertKind, source: str, start_us: int, end_us: int) -> str:
    name, back_us = ("rejections.sql", 0) if kind == "ingest_quality" else ("silence.sql", 86_400_000_000)
    text = Template(files("streams.agents.ingest").joinpath(name).read_text(encoding="utf-8")).substitute(
        source=literal(source),
        start=f"{to_datetime(start_us - back_us):%Y-%m-%d %H:%M:%S}",
        end=f"{to_datetime(end_us):%Y-%m-%d %H:%M:%S}",
    )
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def _span(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes / 60:.1f} hours" if minutes < 48 * 60 else f"{minutes / 1_440:.1f} days"

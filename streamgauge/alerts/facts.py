"""In: a story and what people said. Out: its facts as pairs of name and value, and its timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.alerts import Alert
from schemas.control.feedback import AlertFeedback
from streamgauge.alerts.figures import about, figure, impact_text, incident_text, lasting, money, utc
from streamgauge.alerts.reading import Story


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: when it was told, what, and a sentence."""

    at: datetime
    what: str
    text: str


def title(story: Story) -> str:
    """`Runaway loop: search / checkout-help`."""
    last = story.last
    what = incident_text(last) or last.kind.replace("_", " ")
    return f"{what[0].upper()}{what[1:]}: {about(last)}"


def facts(story: Story) -> list[tuple[str, str]]:
    """What is known, without what is not."""
    last = story.last
    pairs: list[tuple[str, str | None]] = [
        ("alert", story.alert_id),
        ("state", f"{'open' if story.is_open else 'over'} ({last.state}, revision {last.revision})"),
        ("severity", _severity(story)),
        ("about", about(last)),
        ("owner", last.owner),
        ("contact", last.contact),
        ("incident", incident_text(last)),
        ("budget", last.budget_id),
        ("policy", last.policy_rule),
        ("planned activity", last.activity),
        ("began", f"{utc(story.first.occurred_at)} UTC"),
        ("noticed", f"{utc(story.first.evaluated_at)} UTC, {_notice(story)} later"),
        ("ended", None if story.is_open else f"{utc(last.window.end)} UTC, after {_lasted(story)}"),
        ("observed", figure(last.observed, last.unit)),
        ("expected", None if last.expected is None else figure(last.expected, last.unit)),
        ("limit", None if last.limit is None else figure(last.limit, last.unit)),
        ("impact", impact_text(last)),
        ("people", last.behind),
        ("confidence", last.confidence),
        ("said", last.said),
        ("old time", "raised by a replay: told to nobody" if story.historical else None),
    ]
    return [(name, value) for name, value in pairs if value]


def timeline(story: Story, feedback: AlertFeedback | None) -> list[Step]:
    """All states and the newest word of people, in order of when they were told."""
    steps = [Step(one.evaluated_at, one.state, _text(one)) for one in story.states]
    if feedback is not None:
        steps.append(Step(feedback.at, feedback.said, said_text(feedback)))
    return sorted(steps, key=lambda step: step.at)


def said_text(feedback: AlertFeedback) -> str:
    return f"by {feedback.by}{f': {feedback.note}' if feedback.note else ''}"


def _text(alert: Alert) -> str:
    """The summary, with the impact so far where it does not tell that itself."""
    if alert.impact is None or alert.state == "resolved":
        return alert.summary
    impact = f"{money(alert.impact)} extra so far"
    return alert.summary if impact in alert.summary else f"{alert.summary} ({impact})"


def _severity(story: Story) -> str:
    """How it changed, where it did."""
    told = dict.fromkeys(one.severity for one in story.states)
    return " → ".join(told) if len(told) > 1 else story.last.severity


def _notice(story: Story) -> str:
    return lasting(story.first.evaluated_at - story.first.occurred_at)


def _lasted(story: Story) -> str:
    return lasting(story.last.window.end - story.first.occurred_at)

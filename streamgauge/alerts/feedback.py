"""In: an alert and what somebody says of it. Out: their word on `governance.control`, or taken back; and what comes of
it, in a sentence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import ValidationError

from runtime.connection import KafkaConnection
from schemas.alerts import AlertKind, Said
from schemas.control.feedback import AlertFeedback
from schemas.control.records import record_key
from schemas.control.snapshot import ControlSnapshot
from schemas.topics import Topics
from streamgauge.alerts.reading import Story
from streamgauge.apply.plan import Change, Plan
from streamgauge.apply.publish import publish_plan
from streamgauge.exceptions.problems import Refused
from streamgauge.exceptions.publishing import Changed, read_control

#: Kinds whose agents act on what people say; of the others it is kept for measuring precision alone.
HEEDED: Final[frozenset[AlertKind]] = frozenset({"spike", "workflow_regression", "value_divergence"})
_CONSEQUENCES: Final[dict[Said, str]] = {
    "acknowledged": "it goes on, is told once more as acknowledged, and then only when it is over",
    "expected": "it is resolved at once, stays quiet until things are calm again, and teaches nothing",
    "noise": "it is resolved at once, and its level is taken as usual from now on",
}


def make(story: Story, said: Said, by: str, note: str | None, now: datetime) -> AlertFeedback:
    """The record. Refused where it is not in order, such as a note that is too long."""
    try:
        return AlertFeedback(
            kind="feedback", id=story.alert_id, said=said, by=by, at=now.replace(microsecond=0), note=note or None
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise Refused(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def publish(record: AlertFeedback, made_from: ControlSnapshot, connection: KafkaConnection, topics: Topics) -> None:
    """In one transaction. Changed where somebody else said something of this alert meanwhile."""
    key = record_key(record)
    before = made_from.records.get(key)
    change = Change("create" if before is None else "update", key, record, before)
    _publish(change, made_from, connection, topics)


def clear(story: Story, made_from: ControlSnapshot, connection: KafkaConnection, topics: Topics) -> AlertFeedback:
    """Take back what was said, and return it. Refused where nothing was."""
    before = made_from.feedback.get(story.alert_id)
    if before is None:
        raise Refused(f"nobody said anything of {story.alert_id}: there is nothing to take back")
    _publish(Change("delete", record_key(before), None, before), made_from, connection, topics)
    return before


def is_known(story: Story, said: Said, before: AlertFeedback | None) -> bool:
    """Whether agents have heard the same word already, and told it."""
    return story.is_open and before is not None and before.said == story.last.said == said


def will_be_answered(story: Story, said: Said, before: AlertFeedback | None) -> bool:
    """Whether agents tell anything of it."""
    return story.is_open and story.last.kind in HEEDED and not is_known(story, said, before)


def consequence(story: Story, said: Said, before: AlertFeedback | None) -> str:
    """What will happen now. `before`: what was said of it until now."""
    if not story.is_open:
        return "it is over already; your word is kept for measuring precision"
    if story.last.kind not in HEEDED:
        return (
            f"your word is kept for measuring precision; an alert of kind {story.last.kind} goes on until its own rule "
            "ends it"
        )
    if is_known(story, said, before):
        return "that is told already, so only who said it last, and the note, are kept anew"
    return _CONSEQUENCES[said]


def consequence_of_clearing(story: Story, before: AlertFeedback) -> str:
    if story.is_open and story.last.kind in HEEDED and before.said == "acknowledged":
        return "from its next state on it is told as if nothing had been said"
    return "it no longer counts for precision; what agents did on it stays done"


def _publish(change: Change, made_from: ControlSnapshot, connection: KafkaConnection, topics: Topics) -> None:
    """1. begin a transaction, which fences whoever else publishes; 2. read anew: with a newer word on the same alert
    nothing is written; 3. produce, commit. A crash before the commit leaves the control log as it was.
    """

    def unchanged() -> None:
        now = read_control(connection, topics)
        if now.offsets.get(change.key) != made_from.offsets.get(change.key):
            raise Changed(
                f"somebody else said something of {change.key.partition('/')[2]} at this moment: nothing was "
                "published; look again (`streamgauge alerts show`) and repeat the command"
            )

    publish_plan(Plan((change,), 0, 0), connection, topics, check=unchanged)

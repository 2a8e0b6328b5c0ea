"""In: the topic `governance.alerts`. Out: the story of each alert: all that was told of it, in order, once each; and
one of them by the beginning of its id.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from runtime.connection import KafkaConnection
from schemas.alerts import Alert
from streamgauge.tail import Record, read_topic

#: So much of an id is shown: its kind and eight digits, which tell alerts apart; `find` takes more and less.
_DIGITS: Final = 8
_NEAREST: Final = 3


class UnknownAlert(LookupError):
    """No alert, or more than one, is meant by an id; the message has the nearest."""


@dataclass(frozen=True, slots=True)
class Story:
    """One alert: its states by revision, each once; there is at least one."""

    states: tuple[Alert, ...]

    @property
    def alert_id(self) -> str:
        return self.last.alert_id

    @property
    def first(self) -> Alert:
        return self.states[0]

    @property
    def last(self) -> Alert:
        return self.states[-1]

    @property
    def is_open(self) -> bool:
        return self.last.state != "resolved"

    @property
    def historical(self) -> bool:
        """Whether all of it is about replayed old time."""
        return all(one.historical for one in self.states)

    @property
    def action(self) -> str:
        """What was suggested last while there was something to do."""
        return next((one.suggested_action for one in reversed(self.states) if one.state != "resolved"), "")


class Stories:
    """Folds states as they come: a redelivery or a replay of one that is known changes nothing."""

    def __init__(self) -> None:
        self._states: dict[str, dict[int, Alert]] = {}

    def take(self, alert: Alert) -> bool:
        """Whether it is news."""
        known = self._states.setdefault(alert.alert_id, {})
        if alert.revision in known:
            return False
        known[alert.revision] = alert
        return True

    def all(self) -> dict[str, Story]:
        """By id, in the order in which they were first told."""
        return {
            name: Story(tuple(states[revision] for revision in sorted(states))) for name, states in self._states.items()
        }


def parse(record: Record, unreadable: Callable[[str], None]) -> Alert | None:
    """One alert; None for a tombstone, and for what this version cannot read, which must not hide the others."""
    if record.value is None:
        return None
    try:
        return Alert.model_validate_json(record.value)
    except ValidationError as error:
        unreadable(f"alert at offset {record.offset} cannot be read: {error.errors()[0]['msg']}")
        return None


def read_alerts(
    connection: KafkaConnection, topic: str, unreadable: Callable[[str], None], *, follow: bool = False
) -> Iterator[Alert]:
    """Every state change that the topic has, as it came."""
    for record in read_topic(connection, topic, follow=follow):
        alert = parse(record, unreadable)
        if alert is not None:
            yield alert


def fold(alerts: Iterable[Alert]) -> dict[str, Story]:
    stories = Stories()
    for alert in alerts:
        stories.take(alert)
    return stories.all()


def find(given: str, stories: Mapping[str, Story]) -> Story:
    """The alert of an id, or of the beginning of one that no other shares. UnknownAlert."""
    if given in stories:
        return stories[given]
    meant = [name for name in stories if name.startswith(given)]
    if len(meant) == 1:
        return stories[meant[0]]
    if meant:
        told = ", ".join(meant[:_NEAREST]) + (" …" if len(meant) > _NEAREST else "")
        raise UnknownAlert(f"{len(meant)} alerts begin with {given!r}: {told}; give more of the id")
    if not stories:
        raise UnknownAlert(f"there is no alert {given!r}: none was raised in the last 90 days")
    near = _nearest(given, stories)
    raise UnknownAlert(
        f"there is no alert {given!r}; the nearest are {', '.join(near)} (`streamgauge alerts` lists all)"
    )


def _nearest(given: str, stories: Mapping[str, Story]) -> list[str]:
    """By likeness of what was given with as much of each id; the newest first where it is like none."""
    begun = {name[: max(len(given), 1)]: name for name in stories}
    close = [begun[one] for one in difflib.get_close_matches(given, begun, n=_NEAREST, cutoff=0.5)]
    newest = sorted(stories, key=lambda name: stories[name].last.evaluated_at, reverse=True)
    return (close + [name for name in newest if name not in close])[:_NEAREST]


def short(alert_id: str) -> str:
    """As it is shown in lists, and can be typed."""
    kind, _, digest = alert_id.rpartition("-")
    return f"{kind}-{digest[:_DIGITS]}" if kind and len(digest) > _DIGITS else alert_id

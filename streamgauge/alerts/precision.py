"""In: stories and what people said of them. Out: how many alerts were told, and what people made of them, by any of
kind, incident, team and week.

The view `alert_precision` in ClickHouse counts the same from what the alerts themselves carry; here words that came
after an alert was over count as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final, Literal

from schemas.alerts import Said
from schemas.control.feedback import AlertFeedback
from streamgauge.alerts.reading import Story

Part = Literal["kind", "incident", "team", "week"]
PARTS: Final[tuple[Part, ...]] = ("kind", "incident", "team", "week")


@dataclass(frozen=True, slots=True)
class Precision:
    """Counts of alerts. `key` has a value for each part that it is cut by."""

    key: tuple[str, ...]
    told: int
    acknowledged: int
    expected: int
    noise: int

    @property
    def unanswered(self) -> int:
        return self.told - self.acknowledged - self.expected - self.noise

    @property
    def share(self) -> float | None:
        """Of those that people answered, how many were real; None where nobody did."""
        answered = self.told - self.unanswered
        return None if not answered else 1 - self.noise / answered


def measure(
    stories: Iterable[Story], feedback: Mapping[str, AlertFeedback], by: Sequence[Part], since: date | None = None
) -> list[Precision]:
    """In order of the parts. Alerts about replayed old time are none: nobody was told of them."""
    counts: dict[tuple[str, ...], Counter[Said | None]] = {}
    for story in stories:
        if story.historical or (since is not None and _day(story) < since):
            continue
        word = feedback.get(story.alert_id)
        said = word.said if word is not None else next((one.said for one in reversed(story.states) if one.said), None)
        counts.setdefault(tuple(_value(story, part) for part in by), Counter())[said] += 1
    return [
        Precision(key, counted.total(), counted["acknowledged"], counted["expected"], counted["noise"])
        for key, counted in sorted(counts.items())
    ]


def _value(story: Story, part: Part) -> str:
    match part:
        case "kind":
            return story.last.kind
        case "incident":
            return next((one.incident for one in reversed(story.states) if one.incident), "")
        case "team":
            return story.last.scope.team or ""
        case "week":
            day = _day(story)
            return str(day - timedelta(days=day.weekday()))


def _day(story: Story) -> date:
    return story.first.occurred_at.astimezone(UTC).date()

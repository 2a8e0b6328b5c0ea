"""In: calls that one rule finds not in order. Out: one episode: whose they are, since when, how it was last told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final, NamedTuple

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.policies import UNKNOWN_DATA_CLASS
from streams.agents.policy.rows import PolicyRow

QUESTION: Final = "unclear"
_MINUTE_US: Final = 60_000_000
#: Workflows and model classes that are told apart; what comes beyond goes without names.
_PLACES: Final = 16
_BETWEEN: Final = "\x1f"


class Key(NamedTuple):
    """What makes an episode one: the rule and its verdict, and of a violation the team and the use case; of a question
    only what is asked about, whoever uses it. Empty texts stand for null.
    """

    rule: str
    verdict: str
    team: str
    subject: str

    @classmethod
    def of(cls, row: PolicyRow) -> Key:
        if row.verdict != QUESTION:
            return cls(row.rule, row.verdict, row.team, row.use_case)
        return cls(row.rule, row.verdict, "", row.unknown if row.rule == UNKNOWN_DATA_CLASS else row.use_case)


@dataclass(slots=True)
class Episode:
    """Event time [start, end) in minutes since the epoch, whole hours. `team` and `use_case` are those of the first
    call; `told` is how many calls there were when it was last told.
    """

    key: Key
    start: int
    end: int
    team: str
    use_case: str
    department: str
    historical: bool
    calls: int = 0
    cost: int = 0
    told: int = 0
    revision: int = 0
    has_ended: bool = False
    #: Position of the control log by which the newest of the calls was judged.
    control: int = 0
    #: Workflow and model class -> calls.
    places: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, row: PolicyRow, control: int, append_us: int, historical_after_us: int) -> Episode:
        is_old = append_us - row.minute * _MINUTE_US > historical_after_us
        episode = cls(Key.of(row), row.minute, row.minute + 60, row.team, row.use_case, row.department, is_old)
        episode.add(row, control)
        episode.told = episode.calls
        return episode

    def add(self, row: PolicyRow, control: int) -> None:
        """Take in calls that were judged by the documents at position `control`."""
        self.end = max(self.end, row.minute + 60)
        self.control = max(self.control, control)
        self.calls += row.calls
        self.cost += row.cost
        place = f"{row.workflow}{_BETWEEN}{row.model_class}"
        if place not in self.places and len(self.places) >= _PLACES:
            place = _BETWEEN
        self.places[place] = self.places.get(place, 0) + row.calls

    def ranked(self) -> list[tuple[str, str, int]]:
        """Workflow, model class and calls, the most calls first."""
        told = sorted(self.places.items(), key=lambda item: (-item[1], item[0]))
        return [(*place.split(_BETWEEN, 1), calls) for place, calls in told]  # type: ignore[misc]

    def dump(self) -> str:
        return json.dumps(asdict(self) | {"key": list(self.key)}, separators=(",", ":"))

    @staticmethod
    def load(text: str) -> Episode:
        fields = json.loads(text)
        return Episode(**fields | {"key": Key(*fields["key"])})

    @staticmethod
    def of_alert(alert: Alert) -> Episode:
        """As far as it was told: what came since is not known any more."""
        scope = alert.scope
        is_question = alert.policy_verdict == QUESTION
        subject = scope.data_class if alert.policy_rule == UNKNOWN_DATA_CLASS else scope.use_case
        key = Key(
            alert.policy_rule or "",
            alert.policy_verdict or "",
            "" if is_question else scope.team or "",
            subject or "",
        )
        return Episode(
            key,
            moment_us(alert.window.start) // _MINUTE_US,
            moment_us(alert.window.end) // _MINUTE_US,
            scope.team or "",
            scope.use_case or "",
            scope.department or "",
            alert.historical,
            calls=alert.observed,
            told=alert.observed,
            revision=alert.revision,
            has_ended=alert.state == "resolved",
            places={f"{scope.workflow or ''}{_BETWEEN}{scope.model_class or ''}": alert.observed},
        )

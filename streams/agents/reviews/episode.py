"""In: the newest state of an alert of a review. Out: what must be remembered of it, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from schemas.alerts import Alert
from schemas.control.base import moment_us
from schemas.control.periods import HOUR_US


@dataclass(slots=True)
class Episode:
    """`alert`: as it was last told. `began_hour`: until when was known when it was first told. `floor_hour`: once it is
    over, what lies before this hour is not looked at any more: its level is the usual, or the memory of it would fire
    again. `facts`: what only one kind of review needs.
    """

    alert: Alert
    began_hour: int
    floor_hour: int
    facts: dict[str, Any]

    @property
    def runs(self) -> bool:
        return self.alert.state != "resolved"

    @property
    def tells_growth(self) -> bool:
        """Whether it is told again when it has doubled: not once somebody is on it."""
        return self.alert.said != "acknowledged"

    @property
    def since_hour(self) -> int:
        return moment_us(self.alert.window.start) // HOUR_US

    @property
    def extra(self) -> int:
        """Nano-USD a month, as last told."""
        return self.alert.observed - (self.alert.expected or 0)

    def dump(self) -> str:
        fields = {"alert": self.alert.model_dump(mode="json"), "began": self.began_hour, "floor": self.floor_hour}
        return json.dumps(fields | {"facts": self.facts}, separators=(",", ":"))

    @staticmethod
    def load(text: str) -> Episode:
        fields = json.loads(text)
        return Episode(Alert.model_validate(fields["alert"]), fields["began"], fields["floor"], fields["facts"])

    @staticmethod
    def of_alert(alert: Alert) -> Episode:
        """As far as the alert tells, after a rebuild."""
        until = moment_us(alert.window.end) // HOUR_US
        return Episode(alert, until, until, {})

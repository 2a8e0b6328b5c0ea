"""In: what was planted, a stretch of event time, the alerts so far. Out: whether time must stand still for an answer.

The demo lets hours pass in a moment. An episode is looked into in ClickHouse while it goes on, which takes a second or
two of real time, so event time waits for that, but not for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from streamgauge.demo.matching import is_about

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from sources.fleet import Incident

#: Event time stands still for this long at most for one incident.
PATIENCE_S: Final = 8.0
#: How an alert says that single calls are still looked into.
_PENDING: Final = "looked into"


class Lookout:
    """Knows how much patience is left for each incident."""

    def __init__(self, incidents: Iterable[Incident]) -> None:
        self._left = {incident: PATIENCE_S for incident in incidents if incident.looks}

    def awaited(self, starts_at: datetime, ends_at: datetime, alerts: Sequence[Alert]) -> Incident | None:
        """The incident in the midst of which event time [starts_at, ends_at) lies, when nobody has noticed it yet or it
        is still looked into.
        """
        for incident, left in self._left.items():
            inside = incident.starts_at < starts_at and ends_at < incident.ends_at
            if inside and left > 0 and _is_open(incident, alerts):
                return incident
        return None

    def waited(self, incident: Incident, seconds: float) -> None:
        """So much of the patience is used up."""
        self._left[incident] -= seconds


def _is_open(incident: Incident, alerts: Sequence[Alert]) -> bool:
    own = [alert for alert in alerts if is_about(alert, incident)]
    return not own or _PENDING in max(own, key=lambda alert: alert.revision).summary

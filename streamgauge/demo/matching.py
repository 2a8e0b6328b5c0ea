"""In: what was planted and what was raised. Out: each incident beside its alert, and the pages that nobody planted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from schemas.alerts import Alert

if TYPE_CHECKING:
    from sources.fleet import Incident

#: An alert further from the planted moment, in event time, is about something else.
TOLERANCE: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Matched:
    """One planted incident; `alert` None: nobody noticed. `told`: its newest state while it went on: that knows
    most."""

    incident: Incident
    alert: Alert | None
    told: Alert | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with how it was noticed, as half a sentence."""
        if self.alert is None or self.told is None:
            return "has no alert"
        looks = self.incident.looks
        if looks and self.told.incident not in looks:
            return f"is named {self.told.incident or 'nothing'} by its alert, not {looks[0]}: {self.told.summary}"
        if self.incident.activity is not None and self.alert.pages:
            return f"wakes somebody, though it is planned as {self.incident.activity}"
        if self.told.activity != self.incident.activity:
            planned = self.incident.activity or "no planned activity"
            return f"is told under {self.told.activity or 'no planned activity'}, not {planned}"
        return None


@dataclass(frozen=True, slots=True)
class Matching:
    """`unplanted`: pages that match no incident."""

    incidents: tuple[Matched, ...]
    unplanted: tuple[Alert, ...]

    @property
    def missed(self) -> tuple[Incident, ...]:
        return tuple(one.incident for one in self.incidents if one.alert is None)


def match_alerts(incidents: Sequence[Incident], alerts: Iterable[Alert]) -> Matching:
    """By team, kind and event time within TOLERANCE; of several the one that pages, then the nearest. Each
    alert once, by its last word on when it occurred: a budget's crossing is dated anew once all events are in order.
    """
    told = sorted(alerts, key=lambda alert: alert.revision)
    occurred = {alert.alert_id: alert.occurred_at for alert in told}
    firing = [
        alert.model_copy(update={"occurred_at": occurred[alert.alert_id]}) for alert in told if alert.state == "firing"
    ]
    taken: set[str] = set()
    matched: list[Matched] = []
    for incident in incidents:
        found = [alert for alert in firing if alert.alert_id not in taken and is_about(alert, incident)]
        found.sort(key=lambda alert: (not alert.pages, abs(alert.occurred_at - incident.expected_at), alert.alert_id))
        best = found[0] if found else None
        if best is not None:
            taken.add(best.alert_id)
        own = [alert for alert in told if best is not None and alert.alert_id == best.alert_id]
        matched.append(Matched(incident, best, _knowing(own)))
    unplanted = {
        alert.alert_id: alert
        for alert in firing
        if alert.pages and not any(is_about(alert, incident) for incident in incidents)
    }
    return Matching(tuple(matched), tuple(unplanted.values()))


def _knowing(states: Sequence[Alert]) -> Alert | None:
    """The newest state before the end: what is told afterwards is about all of it, the return to the usual too."""
    return next((state for state in reversed(states) if state.state != "resolved"), None)


def is_about(alert: Alert, incident: Incident) -> bool:
    """Whether an alert is of the incident's team and kind, in its time; a budget's alert also of its budget."""
    return (
        alert.kind == incident.alert_kind
        and alert.scope.team == incident.team
        and abs(alert.occurred_at - incident.expected_at) <= TOLERANCE
        and (incident.budget_id is None or alert.budget_id == incident.budget_id)
    )

"""In: an alert of a review, the control documents. Out: what people said of it, and the plan that covers it."""

from __future__ import annotations

from typing import Any

from schemas.alerts import Alert, AlertScope, Said
from schemas.control.snapshot import ControlSnapshot
from streams.agents.planned import activity_of, planned


def said_of(alert: Alert, control: ControlSnapshot) -> Said | None:
    """What has been said and was not told yet."""
    word = control.feedback.get(alert.alert_id)
    return None if word is None or word.said == alert.said else word.said


def under_a_plan(scope: AlertScope, since_us: int, control: ControlSnapshot) -> dict[str, Any]:
    """Fields of an alert whose beginning a planned activity covers: no page, and whose plan it is; else none."""
    activity = activity_of(planned(control), scope.team, scope.use_case, since_us, control)
    return {} if activity is None else {"severity": "info", "incident": "planned_activity", "activity": activity}

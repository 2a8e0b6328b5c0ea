"""In: an alert of a review, the control documents. Out: what people said of it, and the plan that covers it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from schemas.alerts import Alert, AlertScope, Said
from schemas.control.snapshot import ControlSnapshot


def said_of(alert: Alert, control: ControlSnapshot) -> Said | None:
    """What has been said and was not told yet."""
    word = control.feedback.get(alert.alert_id)
    return None if word is None or word.said == alert.said else word.said


def plan_of(scope: AlertScope, since: datetime, control: ControlSnapshot) -> str | None:
    """The planned activity whose time has the beginning of it and whose scope it lies in; the first of several."""
    for name, plan in sorted(control.activities.items()):
        wanted = plan.scope
        if (
            plan.starts_at <= since < plan.ends_at
            and wanted.department in (None, scope.department)
            and wanted.team in (None, scope.team)
            and wanted.use_case in (None, scope.use_case)
        ):
            return name
    return None


def planned(activity: str | None) -> dict[str, Any]:
    """Fields of an alert that a plan covers: no page, and whose plan it is."""
    return {} if activity is None else {"severity": "info", "incident": "planned_activity", "activity": activity}

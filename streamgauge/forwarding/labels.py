"""In: one state of an alert. Out: what Alertmanager is told of it: labels, annotations, start and end.

Alertmanager takes alerts with equal labels for one. So labels say what never changes while an alert goes on: they are
those of the first state that was forwarded, also where a later state is more severe or names another incident. What may
change stands in annotations, the newest severity and incident included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from schemas.alerts import Alert
from streamgauge.alerts.causes import carriers, cause_rows
from streamgauge.alerts.figures import impact_text, printable

Labels = Mapping[str, str]


def labels_of(alert: Alert) -> Labels:
    """For an alert's first state. Labels without a value are left out, as Alertmanager does."""
    found = {
        "alertname": "Streamgauge" + "".join(part.capitalize() for part in alert.kind.split("_")),
        "kind": alert.kind,
        "team": alert.scope.team,
        "use_case": alert.scope.use_case,
        "severity": alert.severity,
        "incident": alert.incident,
        "alert_id": alert.alert_id,
    }
    return MappingProxyType({name: printable(value) for name, value in found.items() if value})


def annotations_of(alert: Alert) -> dict[str, str]:
    """Texts for people, of this state."""
    found = {
        "summary": alert.summary,
        "description": _description(alert),
        "action": alert.suggested_action,
        "impact": impact_text(alert),
        "runbook": _link(alert, "runbook"),
        "query": _link(alert, "query"),
        "owner": alert.owner,
        "contact": alert.contact,
        "severity": alert.severity,
        "incident": alert.incident,
        "said": alert.said,
        "state": f"{alert.state}, revision {alert.revision}",
    }
    return {name: printable(value) for name, value in found.items() if value}


def as_posted(
    alert: Alert, labels: Labels, now: datetime, keep: timedelta, dashboard_url: str | None = None
) -> dict[str, Any]:
    """One element of a POST to /api/v2/alerts.

    An alert that goes on ends `keep` from now unless it is posted again, whatever Alertmanager's own resolve_timeout
    is. One that is over ended when that was told, never in the future, until when it would be firing.
    """
    start = min(alert.occurred_at, alert.evaluated_at, now)
    end = max(start, min(alert.evaluated_at, now)) if alert.state == "resolved" else now + keep
    posted: dict[str, Any] = {
        "labels": dict(labels),
        "annotations": annotations_of(alert),
        "startsAt": _rfc3339(start),
        "endsAt": _rfc3339(end),
    }
    url = _link(alert, "dashboard") or dashboard_url
    if url is not None and url.startswith(("http://", "https://")):
        posted["generatorURL"] = url
    return posted


def _description(alert: Alert) -> str:
    """Causes with their shares, then who carries the change, with the rest; one a line."""
    lines = [f"{row.share} {row.what}" for row in cause_rows(alert)]
    for table in carriers(alert):
        told = ", ".join(f"{row.what} {row.share}" for row in table.rows)
        lines.append(f"By {table.dimension}: {told}")
    if alert.behind:
        lines.append(f"Behind it: {alert.behind}")
    return "\n".join(lines)


def _link(alert: Alert, rel: str) -> str | None:
    return next((link.href for link in alert.links if link.rel == rel), None)


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

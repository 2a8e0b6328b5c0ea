"""In: planned activities. Out: what is wrong with one, what is worth a word, and the alerts that one would quiet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from schemas.alerts import Alert, AlertKind
from schemas.control.activities import PlannedActivity
from schemas.control.base import moment_us
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.wording import scope_faults

if TYPE_CHECKING:
    from streamgauge.apply.plan import Plan

#: What the series of a spike are told apart by.
_SELECTORS: Final = ("department", "team", "use_case")
#: Kinds that planned activities quiet.
_QUIETED: Final[frozenset[AlertKind]] = frozenset({"spike"})


def activity_faults(activity: PlannedActivity) -> Iterator[tuple[str, str]]:
    """(field, what is wrong), as far as one document tells it."""
    for name, why in scope_faults(activity.scope):
        yield f"scope.{name}", why
    for name in activity.scope.model_dump(exclude_none=True, exclude={"within"}):
        if name not in _SELECTORS:
            yield (
                f"scope.{name}",
                "rises are told by department, team and use case: name these alone, or nothing for all of them",
            )
    if activity.ends_at <= activity.starts_at:
        told = f"{activity.ends_at.isoformat()} is not after starts_at {activity.starts_at.isoformat()}"
        yield "ends_at", f"{told}: nothing would be covered"


def activity_notes(plan: Plan, now_us: int) -> Iterator[str]:
    """Of those that are new or changed: over already, or so wide that all is quiet."""
    for activity in _changed(plan):
        if moment_us(activity.ends_at) <= now_us:
            yield f"activity {activity.id} ended at {activity.ends_at.isoformat()}: it quiets nothing from now on"
        elif not activity.scope.model_dump(exclude_none=True, exclude={"within"}):
            yield f"activity {activity.id} names no department, team or use case: it covers every spike"


def quieted(plan: Plan, alerts: Iterable[Alert], after: ControlSnapshot, now_us: int) -> Iterator[str]:
    """`alerts`: the newest state of each. A sentence for each open one that a new or changed activity covers now."""
    running = [one for one in _changed(plan) if moment_us(one.starts_at) <= now_us < moment_us(one.ends_at)]
    for alert in alerts:
        if alert.state == "resolved" or alert.historical or alert.kind not in _QUIETED or alert.activity is not None:
            continue
        for activity in running:
            if _covers(activity, alert, after, now_us):
                yield f"activity {activity.id} would make {alert.alert_id} planned: {alert.summary}"


def _changed(plan: Plan) -> list[PlannedActivity]:
    return [change.record for change in plan.changes if isinstance(change.record, PlannedActivity)]


def _covers(activity: PlannedActivity, alert: Alert, after: ControlSnapshot, now_us: int) -> bool:
    scope = activity.scope
    within = scope.within or ((scope.department,) if scope.department is not None else ())
    return (
        (not within or _department(alert, after, now_us) in within)
        and scope.team in (None, alert.scope.team)
        and scope.use_case in (None, alert.scope.use_case)
    )


def _department(alert: Alert, after: ControlSnapshot, now_us: int) -> str | None:
    team = after.teams.get(alert.scope.team or "")
    terms = [] if team is None else [term for term in team.terms if term.from_us <= now_us < term.to_us]
    return terms[0].department if terms else alert.scope.department

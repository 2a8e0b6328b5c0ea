"""In: the pricing team's calls. Out: the same with a load test before a launch, which somebody has announced."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from sources.fleet.calls import OK, Calls, concat
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import MINUTE_US, Scene, spike, within

TEAM: Final = "pricing-insights"
ACTIVITY: Final = "analyst-load-test"
AT_MINUTE: Final = 10 * 60
LASTS: Final = 120
#: Extra calls per ordinary one.
EXTRA: Final = 8.0
#: Announced from so long before until so long after.
_MARGIN: Final = timedelta(minutes=30)


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Adds calls like the team's own of that window, evenly, in sessions of their own."""
    usual = np.flatnonzero(within(calls, scene.start_us, LASTS) & (calls.status == OK))
    count = int(len(usual) * EXTRA)
    test = calls.take(scene.random.choice(usual, count))
    times = scene.start_us + (
        (np.arange(count) + scene.random.random(count)) / max(count, 1) * LASTS * MINUTE_US
    ).astype(np.int64)
    test = test.with_columns(
        call=calls.call.max() + 1 + np.arange(count),
        sent_us=times,
        occurred_us=times,
        session=calls.session.max() + 1 + np.arange(count) // 5,
        attempt=np.ones(count, np.int64),
        retry_of=np.full(count, -1),
    )
    sentence = (
        f"Team {TEAM} tests its analyst with {EXTRA + 1:.0f} times its usual calls before a launch, and has announced "
        f"it as activity {ACTIVITY}: nobody is to be woken."
    )
    planted = spike("planned load test", TEAM, scene.start_us, LASTS, sentence, "planned_activity", activity=ACTIVITY)
    return concat([calls, test]), planted


def activity(planted: Incident) -> PlannedActivity:
    """What the team announces."""
    return PlannedActivity(
        id=ACTIVITY,
        scope=Scope(team=TEAM),
        what="Load test of the market analyst before its launch",
        owner="Samir Haddad",
        starts_at=planted.starts_at - _MARGIN,
        ends_at=planted.ends_at + _MARGIN,
    )

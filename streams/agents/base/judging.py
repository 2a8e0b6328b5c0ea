"""In: a period whose past has just been added. Out: its levels judged, each dated by when it was really reached.

What is learnt late is told like any crossing that is found now: it is history only where all events are. A level that
fired already, by what was counted until now, is dated anew where the past moves it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.alerts import Alert
from schemas.control.budgets import LEVELS
from schemas.control.periods import MINUTE_US
from streams.agents.base.reached import Reached
from streams.agents.budget_texts import budget_alert
from streams.agents.crossing_times import QUARTER_MINUTES
from streams.agents.crossings import CrossingKey

if TYPE_CHECKING:
    from streams.agents.exceptions.grants import Effective
    from streams.agents.verdicts import Timeline, Verdicts


def judge_base(
    verdicts: Verdicts, judged: Effective, key: int, reached: Reached, timeline: Timeline, now_us: int
) -> list[Alert]:
    """Alerts of one period. `key` is that of its total; `reached` knows its past."""
    alerts: list[Alert] = []
    told = verdicts.judge_change(judged, key, timeline, now_us)
    start_us = (key & 0xFFFF_FFFF) * MINUTE_US
    for level in LEVELS:
        crossing_key = CrossingKey(judged.budget.id, start_us, level)
        of_level = [alert for alert in told if alert.level == level]
        crossing = verdicts.crossings.all.get(crossing_key)
        at_us = reached.by(judged.budget.level_units(level))
        if crossing is None or crossing.state != "firing" or at_us is None:
            alerts += of_level
            continue
        at_us = min(max(at_us, start_us), crossing.period_end_us - 1)
        fired = bool(of_level) and of_level[-1].state == "firing"
        moved = abs(at_us - crossing.occurred_us) > QUARTER_MINUTES * MINUTE_US
        if fired:
            dated = replace(crossing, occurred_us=at_us, dated=True)
            verdicts.crossings.put(dated)
            alerts.append(budget_alert(dated, "firing", None, now_us))
        elif moved:
            dated = replace(
                crossing,
                occurred_us=at_us,
                dated=True,
                observed=max(crossing.observed, judged.budget.level_units(level)),
                revision=crossing.revision + 1,
            )
            verdicts.crossings.put(dated)
            alerts += [*of_level, budget_alert(dated, "updated", "dated", now_us)]
        else:
            alerts += of_level
    return alerts

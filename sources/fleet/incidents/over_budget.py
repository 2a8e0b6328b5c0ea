"""In: the finance team's calls. Out: the same with a day of steady overwork, which crosses the team's daily token
budget.

No five minutes of it stand out (about 1.7 times the usual), so that the budget must find it, not the spike detector.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np

from runtime.clock import to_datetime
from sources.fleet.calls import Calls, concat
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import MINUTE_US, Scene, within
from sources.fleet.rhythm import DAY_US

TEAM: Final = "finance-recon"
BUDGET_ID: Final = "finance-recon-daily-tokens"
#: Tokens (input + output) of a UTC day at which the budget's hard level begins; `house/budgets.yaml` states the same.
HARD_TOKENS: Final = 6_900_000
AT_MINUTE: Final = 7 * 60
LASTS: Final = 600
EXTRA: Final = 0.7


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Repeats about two in three of the window's calls as new ones, within two minutes of the first."""
    usual = np.flatnonzero(within(calls, scene.start_us, LASTS) & (calls.retry_of < 0))
    more = calls.take(np.sort(scene.random.choice(usual, int(len(usual) * EXTRA), replace=False)))
    times = more.occurred_us + scene.random.integers(-2 * MINUTE_US, 2 * MINUTE_US, len(more))
    times = np.clip(times, scene.start_us, scene.start_us + LASTS * MINUTE_US - 1)
    more = more.with_columns(call=calls.call.max() + 1 + np.arange(len(more)), sent_us=times, occurred_us=times)
    sentence = (
        f"Quarter-end work of team {TEAM} runs at about 1.7 times the usual for ten hours: no spike, "
        "but the day's token budget passes its hard level in the afternoon."
    )
    starts, ends = to_datetime(scene.start_us), to_datetime(scene.start_us + LASTS * MINUTE_US)
    return concat([calls, more]), Incident("over budget", TEAM, "budget", starts, ends, starts, sentence, BUDGET_ID)


def crossing(calls: Calls, day_of_us: int) -> datetime | None:
    """When the UTC day's cumulative tokens reach the hard level, by event time; None if they never do.

    `calls` are the team's accepted events, each once.
    """
    day = day_of_us // DAY_US
    that_day = calls.take(calls.occurred_us // DAY_US == day)
    order = np.argsort(that_day.occurred_us, kind="stable")
    used = np.cumsum((that_day.input + that_day.output)[order])
    place = int(np.searchsorted(used, HARD_TOKENS))
    return to_datetime(int(that_day.occurred_us[order][place])) if place < len(used) else None


def with_crossing(planned: Incident, moment: datetime) -> Incident:
    """The incident, expected when the hard level is reached."""
    return replace(planned, expected_at=moment)

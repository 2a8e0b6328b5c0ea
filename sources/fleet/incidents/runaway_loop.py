"""In: the checkout team's calls. Out: the same with an agent that calls the model again and again in one endless
session.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import OK, Calls, concat
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import MINUTE_US, Scene, spike, within

TEAM: Final = "checkout"
AT_MINUTE: Final = 9 * 60 + 30
LASTS: Final = 210
#: Extra calls per ordinary one.
EXTRA: Final = 8.5


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Adds calls shaped like the team's own of that window: their number grows, nothing else."""
    usual = np.flatnonzero(within(calls, scene.start_us, LASTS) & (calls.status == OK))
    count = int(len(usual) * EXTRA)
    loop = calls.take(scene.random.choice(usual, count))
    times = scene.start_us + (
        (np.arange(count) + scene.random.random(count)) / max(count, 1) * LASTS * MINUTE_US
    ).astype(np.int64)
    loop = loop.with_columns(
        call=calls.call.max() + 1 + np.arange(count),
        sent_us=times,
        occurred_us=times,
        session=np.full(count, calls.session.max() + 1),
        attempt=np.ones(count, np.int64),
        retry_of=np.full(count, -1),
    )
    sentence = (
        f"An agent of team {TEAM} loops: one session of workflow payment-triage makes {EXTRA} times as many calls "
        "as all its others together, each as large as ever."
    )
    return concat([calls, loop]), spike("runaway loop", TEAM, scene.start_us, LASTS, sentence, "runaway_loop")

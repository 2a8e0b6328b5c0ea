"""In: the platform team's calls. Out: the same with a prompt whose beginning changes at each call, so that no cache
hits.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sources.fleet.calls import Calls
from sources.fleet.expected import Incident
from sources.fleet.incidents.window import Scene, spike, within

TEAM: Final = "platform-eng"
AT_MINUTE: Final = 9 * 60 + 15
LASTS: Final = 240


def plant(calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
    """Within the window everything that was read from the cache is written to it instead, and never read."""
    hit = within(calls, scene.start_us, LASTS)
    read = np.where(hit, 0, calls.cache_read)
    write = np.where(hit, calls.cache_read + calls.cache_write, calls.cache_write)
    sentence = (
        f"The coding agent of team {TEAM} starts its prompt with the time of day: the share of input read from the "
        "cache falls from over 80 % to nothing, and each call writes the cache anew."
    )
    changed = calls.with_columns(cache_read=read, cache_write=write)
    return changed, spike("cache collapse", TEAM, scene.start_us, LASTS, sentence, "cache_collapse")

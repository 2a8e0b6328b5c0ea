"""What goes wrong in the fleet: one file per incident, each `plant(calls, scene)` on one team's calls.

`PLANTS` in the order of their days; the last one, the budget, comes last because its day must be the latest.
"""

from __future__ import annotations

from typing import Final, Protocol

from sources.fleet.calls import Calls
from sources.fleet.expected import Incident
from sources.fleet.incidents import (
    cache_collapse,
    context_resent,
    dear_model,
    load_test,
    over_budget,
    prompt_bloat,
    retry_storm,
    runaway_loop,
)
from sources.fleet.incidents.window import Scene


class Plant(Protocol):
    """Puts one incident into a team's calls."""

    TEAM: str
    #: Start in minutes after midnight UTC of the incident's day.
    AT_MINUTE: int
    #: Length in minutes.
    LASTS: int

    def plant(self, calls: Calls, scene: Scene) -> tuple[Calls, Incident]:
        """The team's calls with the incident in them (not in order of time), and what to expect."""
        ...


PLANTS: Final[tuple[Plant, ...]] = (
    runaway_loop,
    prompt_bloat,
    dear_model,
    retry_storm,
    cache_collapse,
    context_resent,
    load_test,
    over_budget,
)

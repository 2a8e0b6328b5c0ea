"""In: calls and a window. Out: which calls fall into it, and the Incident that tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from runtime.clock import to_datetime
from schemas.alerts import Incident as Looks
from sources.fleet.calls import Bools, Calls
from sources.fleet.expected import Incident
from sources.fleet.numbering import Numbering

MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """When an incident begins (µs), and what it may draw on."""

    start_us: int
    numbers: Numbering
    random: np.random.Generator


def within(calls: Calls, start_us: int, minutes: int) -> Bools:
    """True for calls that occur in [start, start + minutes)."""
    inside: Bools = (calls.occurred_us >= start_us) & (calls.occurred_us < start_us + minutes * MINUTE_US)
    return inside


def spike(
    name: str, team: str, start_us: int, minutes: int, sentence: str, *looks: Looks, activity: str | None = None
) -> Incident:
    """A spike, expected at its start, that looks like one of `looks`."""
    starts, ends = to_datetime(start_us), to_datetime(start_us + minutes * MINUTE_US)
    return Incident(name, team, "spike", starts, ends, starts, sentence, looks=looks, activity=activity)

"""In: nothing. Out: the kinds of incidents, what truly causes each, and the rule of what counts as one.

The rule, fixed before any detector was run on it: an incident is a cause that nobody planned and that, over its first
two hours (or all of it when shorter), makes its use case cost

- at least `FLOOR_PER_HOUR` more per hour, and at least `FLOOR_IN_ALL` more in all,
- at least twice what is usual for it at that time,
- at least `TEAM_RATIO` times the usual of the whole team, and
- more than it reaches by itself in 98 of 100 hours of that time of day and kind of day.

What is less than that is nothing that a person wants to be told, and a detector that tells it is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FLOOR_PER_HOUR: Final = 5.0
FLOOR_IN_ALL: Final = 10.0
TEAM_RATIO: Final = 1.3
#: A detector that speaks up to so long after the end has still found it.
GRACE_MINUTES: Final = 30
#: A level that stays is an incident for its first day; from then on it is the usual.
SHIFT_MINUTES: Final = 24 * 60
#: A second alert of one incident is false, unless the last one lies so far back that it is a reminder.
REMINDER_MINUTES: Final = 6 * 60

Size = Literal["small", "medium", "large"]
#: Times the least excess that counts.
SIZES: Final[dict[Size, tuple[float, float]]] = {"small": (1.1, 2.0), "medium": (2.0, 5.0), "large": (5.0, 25.0)}
SHARES: Final = (0.4, 0.35, 0.25)

#: By kind: the measures that truly moved (any of them is right), and the names of it that are right.
MEASURES: Final[dict[str, frozenset[str]]] = {
    "runaway_loop": frozenset({"calls"}),
    "agent_left_on": frozenset({"calls"}),
    "leaked_credential": frozenset({"calls"}),
    "load_test": frozenset({"calls"}),
    "level_shift": frozenset({"calls"}),
    "retry_storm": frozenset({"retries"}),
    "prompt_bloat": frozenset({"input_per_call"}),
    "context_resent": frozenset({"input_per_call"}),
    "output_growth": frozenset({"output_per_call"}),
    "model_switch": frozenset({"mix"}),
    "cache_collapse": frozenset({"cache_share"}),
}
NAMES: Final[dict[str, frozenset[str]]] = {
    "runaway_loop": frozenset({"runaway_loop"}),
    "agent_left_on": frozenset({"runaway_loop"}),
    "leaked_credential": frozenset({"shared_credential"}),
    "load_test": frozenset({"load_test"}),
    "level_shift": frozenset({"volume"}),
    "retry_storm": frozenset({"retry_storm"}),
    "prompt_bloat": frozenset({"prompt_bloat"}),
    "context_resent": frozenset({"context_resent", "prompt_bloat"}),
    "output_growth": frozenset({"output_growth"}),
    "model_switch": frozenset({"model_switch"}),
    "cache_collapse": frozenset({"cache_collapse"}),
}
#: What detectors may call a measure.
ALIASES: Final[dict[str, str]] = {
    "errors": "retries",
    "error_share": "retries",
    "tokens_per_call": "input_per_call",
    "input_tokens_per_call": "input_per_call",
    "output_tokens_per_call": "output_per_call",
    "model_mix": "mix",
    "cache_hits": "cache_share",
}


@dataclass(frozen=True, slots=True)
class Incident:
    """Minutes since the beginning of the fleet. Money in USD.

    `begins`: when its cause set in; `start`: when it first met the rule (later than that only where it grows);
    `end`: its end, of a level that stays the end of its first day. `counts` false: as it came out it stayed below the
    rule, so it is neither found nor missed, and alerts within it are neither right nor wrong.
    """

    team: int
    use_case: str
    kind: str
    size: Size
    begins: int
    start: int
    end: int
    ratio: float
    excess: float
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """Work that was announced: between the two minutes alerts of the team are neither right nor wrong."""

    team: int
    use_case: str
    what: str
    begins: int
    end: int


@dataclass(frozen=True, slots=True)
class Raised:
    """One alert of one detector. `minute`: the newest event time that it had seen. `causes`: measures, strongest first;
    `name`: what it calls it; `page` false: for information, it says that it was planned.
    """

    team: int
    minute: int
    use_case: str | None = None
    causes: tuple[str, ...] = ()
    name: str | None = None
    page: bool = True

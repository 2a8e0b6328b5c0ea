"""In: nothing. Out: when broken policies are told, and for how long they are remembered, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """All times in minutes of event time, which are told by the hour.

    An episode ends after `quiet_minutes` without a call; it is told again when its calls have doubled, from
    `least_calls` on. What has ended is remembered for `forget_minutes`, and calls older than that are not told; a
    question that nobody answers is withdrawn when its calls have stayed away so long.
    """

    quiet_minutes: int = 24 * 60
    least_calls: int = 10
    forget_minutes: int = 35 * 24 * 60

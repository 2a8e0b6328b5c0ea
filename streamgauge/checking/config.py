"""In: nothing. Out: how the check answers where it does not know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """`unknown`: what an enforced budget of unknown state asks for. `stale`: what is said once all that stands on the
    topics was last known `stale_after_s` ago, or no status has come for `silent_after_s` (0: however long).
    """

    host: str = "127.0.0.1"
    port: int = 8450
    unknown: Literal["warn", "stop"] = "warn"
    stale_after_s: float = 10.0
    stale: Literal["allow", "warn", "stop"] = "warn"
    silent_after_s: float = 0.0
    personal: bool = True
    token: str | None = field(default=None, repr=False)
    user_key: bytes | None = field(default=None, repr=False)

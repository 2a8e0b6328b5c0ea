"""What a check says: one line for people, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and what to do where that is not enough."""

    check: str
    state: State
    found: str
    advice: str = ""

"""In: what one source sent by broker minute. Out: what is usual for it, and whether events are refused or stay away.

Everything is decided by the log's own minutes, so any batching of the same log decides the same.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Literal

from streams.agents.ingest.policy import IngestPolicy

_DAY = 24 * 60
#: What a window weighs in the usual falls by this with each further one: a busy source remembers some eight hours.
_FADE = 0.99

Change = Literal["firing", "updated", "resolved"]


@dataclass(slots=True)
class Window:
    """Events since `start`: how many passed, and how many were refused by code."""

    start: int
    passed: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        return sum(self.refused.values())

    @property
    def events(self) -> int:
        return self.passed + self.rejected

    def add(self, code: str | None, events: int) -> None:
        if code is None:
            self.passed += events
        else:
            self.refused[code] = self.refused.get(code, 0) + events


@dataclass(slots=True)
class Trouble:
    """Running rejections: all of them since `seen.start`, how many were usual, and how they were last told."""

    seen: Window
    usual: float
    end: int
    told: int = 0
    revision: int = 0
    calm: int = 0


@dataclass(slots=True)
class Source:
    """One source. Minutes since the epoch, broker time. `gaps`: the largest of each day with speech."""

    first: int
    last: int
    events: int = 0
    gaps: dict[str, int] = field(default_factory=dict)
    window: Window | None = None
    usual_rejected: float = 0.0
    usual_events: float = 0.0
    trouble: Trouble | None = None
    #: Told to be silent.
    silent: bool = False

    @property
    def usual_share(self) -> float:
        return self.usual_rejected / self.usual_events if self.usual_events else 0.0

    def take(self, minute: int, code: str | None, events: int, policy: IngestPolicy) -> bool:
        """Events of one broker minute. Whether a silence that was told ends with them."""
        self.events += events
        if self.window is None:
            self.window = Window(minute)
        self.window.add(code, events)
        if minute <= self.last:
            return False
        spoke_again, self.silent = self.silent, False
        if not spoke_again:
            # A gap that was an outage must not make the next one look usual.
            day = str(minute // _DAY)
            self.gaps[day] = max(self.gaps.get(day, 0), minute - self.last)
        for old in [day for day in self.gaps if int(day) <= minute // _DAY - policy.gap_days]:
            del self.gaps[old]
        self.last = minute
        return spoke_again

    def patience(self, policy: IngestPolicy) -> int | None:
        """Minutes after which its silence is news; None while it is not known to speak always."""
        gap = max(self.gaps.values(), default=0)
        if self.last - self.first < policy.known_minutes or gap > policy.largest_gap:
            return None
        return max(policy.least_silence, policy.gap_factor * gap)

    def close_window(self, now: int, policy: IngestPolicy) -> Change | None:
        """Judge the window when it has lasted long enough; what has to be told of it."""
        window = self.window
        if window is None:
            return None
        age = now - window.start
        if age < policy.window_minutes or (window.events < policy.window_events and age < policy.longest_window):
            return None
        self.window = None
        if self.trouble is not None:
            return self._go_on(self.trouble, window, now, policy)
        if self._is_bad(window, policy):
            usual = self.usual_share * window.events
            self.trouble = Trouble(window, usual, now, told=window.rejected)
            return "firing"
        self.usual_rejected = self.usual_rejected * _FADE + window.rejected
        self.usual_events = self.usual_events * _FADE + window.events
        return None

    def _is_bad(self, window: Window, policy: IngestPolicy) -> bool:
        rejected, events, usual = window.rejected, window.events, self.usual_share
        least = policy.least_rejected if 2 * rejected < events else policy.least_rejected // 2
        return (
            rejected >= least
            and rejected >= max(policy.least_share, policy.rise * usual) * events
            and rejected - usual * events >= 4 * math.sqrt(usual * events + 1)
        )

    def _go_on(self, trouble: Trouble, window: Window, now: int, policy: IngestPolicy) -> Change | None:
        good = window.rejected <= max(policy.least_share / 2, 1.5 * self.usual_share) * window.events
        if good:
            trouble.calm += 1
            return "resolved" if trouble.calm >= policy.calm_windows else None
        trouble.calm, trouble.end = 0, now
        trouble.seen.passed += window.passed
        for code, events in window.refused.items():
            trouble.seen.add(code, events)
        trouble.usual += self.usual_share * window.events
        if trouble.seen.rejected >= 10 * trouble.told:
            trouble.told = trouble.seen.rejected
            trouble.revision += 1
            return "updated"
        return None

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def load(text: str) -> Source:
        fields = json.loads(text)
        if fields["window"] is not None:
            fields["window"] = Window(**fields["window"])
        if fields["trouble"] is not None:
            fields["trouble"] = Trouble(**fields["trouble"] | {"seen": Window(**fields["trouble"]["seen"])})
        return Source(**fields)

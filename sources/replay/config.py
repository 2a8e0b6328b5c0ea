"""In: what a user asked to replay. Out: the values that hold it and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

TraceFormat = Literal["azure-llm", "mooncake", "events-jsonl"]

DEFAULT_TEAMS: Final = ("team-1", "team-2", "team-3", "team-4")
DEFAULT_MODEL: Final = "gpt-4o"
DEFAULT_PROVIDER: Final = "openai"
#: Mooncake's times are milliseconds from an unstated moment; this one is ours.
DEFAULT_START: Final = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """`speed` None: as fast as it goes; 1.0: the trace's own pace; 60: an hour in a minute. `batch`: events per
    message.

    `teams`, `model`, `provider` and `seed` say whom the calls are given to; None: the defaults above (events-jsonl
    carries its own, so there they must be None). `start`: the moment of a relative time 0 (mooncake). ValueError for
    a bad value.
    """

    path: Path
    format: TraceFormat
    speed: float | None = None
    teams: tuple[str, ...] | None = None
    model: str | None = None
    provider: str | None = None
    seed: int = 0
    start: datetime = DEFAULT_START
    batch: int = 200

    def __post_init__(self) -> None:
        if self.speed is not None and not (math.isfinite(self.speed) and self.speed > 0):
            raise ValueError(
                f"speed {self.speed} is not a positive factor: 1 is the trace's own pace, max is as fast as it goes"
            )
        if self.teams is not None and (not self.teams or any(not team.strip() for team in self.teams)):
            raise ValueError(f"teams {self.teams!r} has an empty name: write them as a,b,c")
        if self.teams is not None and len(set(self.teams)) != len(self.teams):
            raise ValueError(f"teams {self.teams!r} names one team twice")
        if self.start.tzinfo is None:
            raise ValueError(f"start {self.start.isoformat()} has no time zone: end it with Z")
        if self.batch < 1:
            raise ValueError(f"batch {self.batch} is not at least 1")
        if self.format == "events-jsonl" and (self.teams or self.model or self.provider):
            raise ValueError("events-jsonl lines carry their own teams and models: leave out --teams and --model")


def parse_teams(text: str) -> tuple[str, ...]:
    """`a,b,c` are names, `12` is team-1 … team-12. ValueError for a count below 1 or an empty name."""
    if text.strip().isdigit():
        count = int(text)
        if not 1 <= count <= 10_000:
            raise ValueError(f"{count} teams are not between 1 and 10000")
        return tuple(f"team-{number}" for number in range(1, count + 1))
    return tuple(name.strip() for name in text.split(","))


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """What one replay sent. Token sums and times are of the lines that could be read (events-jsonl sends bad lines
    too).
    """

    path: Path
    format: TraceFormat
    source: str
    events: int
    delivered: int
    messages: int
    unreadable: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    first_event: datetime | None
    last_event: datetime | None
    wall_s: float
    events_by_team: tuple[tuple[str, int], ...]
    note: str

    @property
    def events_per_s(self) -> float:
        return self.events / self.wall_s if self.wall_s > 0 else 0.0

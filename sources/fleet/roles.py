"""In: nothing. Out: the shape of a cast: teams, what they use models for, and what comes of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Rhythm = Literal["office", "service", "steady"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model by the names that events carry. `answers_as` is the response model, where the provider resolves an
    alias.
    """

    provider: str
    name: str
    answers_as: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomePlan:
    """What a session of a workload leads to. `per_session`: share of sessions with an outcome; `success`: of those.

    `quality` (mean, spread) on the scale that `quality_kind` names, between `quality_range`. Hours until it is known.
    """

    kind: str
    per_session: float
    success: float
    quality: tuple[float, float]
    quality_range: tuple[float, float]
    quality_kind: str
    hours: float
    minutes_saved: float
    value_usd: Decimal
    baseline_usd: Decimal
    baseline_hours: float


@dataclass(frozen=True, slots=True)
class Workload:
    """One workflow of a team. `share`: of the team's sessions. Tokens are lognormal: median and sigma.

    `cache_read`, `cache_write`: shares of the input when the prompt cache works; `reasoning`: share of the output.
    `attributed_by`: which field tells the directory whose call it is (None: nobody knows).
    """

    use_case: str
    workflow: str
    template: str
    application: str
    client: str
    client_version: str
    model: Model
    input_median: int
    output_median: int
    share: float = 1.0
    sigma: float = 0.5
    cache_read: float = 0.0
    cache_write: float = 0.0
    reasoning: float = 0.0
    stage: Literal["production", "exploratory"] = "production"
    data_class: str = "internal"
    operation: str = "chat"
    service_tier: str | None = None
    attributed_by: Literal["user", "credential", "source", None] = "credential"
    claims_team: bool = False
    gateway_hits: float = 0.0
    error_rate: float = 0.015
    outcome: OutcomePlan | None = None


@dataclass(frozen=True, slots=True)
class TeamRole:
    """A team. `weight`: its part of all calls; `lanes`: people, or sessions that a service holds at a time.

    `growth`: factor of the call rate from the first day to the thirtieth. `utc_offset`: hours.
    """

    id: str
    department: str
    weight: float
    rhythm: Rhythm
    lanes: int
    calls_per_session: int
    workloads: tuple[Workload, ...]
    utc_offset: int = 0
    growth: float = 1.3
    people: bool = False

    @property
    def credential(self) -> str:
        return f"key-{self.id}"

    def source(self, workload: Workload) -> str:
        """Who reports the workload's calls: the team's own service, or a tool that many teams share."""
        return (
            f"{self.id}/{workload.application}"
            if workload.attributed_by in ("source", "credential")
            else workload.client
        )

    def members(self) -> tuple[str, ...]:
        """Opaque user ids, stable for ever, because `house/directory.yaml` lists them."""
        if not self.people:
            return ()
        return tuple(f"u-{hashlib.sha256(f'{self.id}/{n}'.encode()).hexdigest()[:8]}" for n in range(self.lanes))

"""In: what AI is used for. Out: the record of one use case: who owns it, how much depends on it, what it achieves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.control.base import Criticality, Id, Record, Stage, Text


class UseCase(Record):
    """One registered use case. `outcome_kinds` name the outcomes that its cost is divided by."""

    kind: Literal["use_case"] = "use_case"
    id: Id
    name: Text | None = None
    owner: Text
    contact: Text | None = None
    criticality: Criticality = "medium"
    data_class: Id | None = Field(default=None, description="Of events that do not say theirs.")
    stage: Stage | None = Field(default=None, description="Where it is fixed: an event that claims another loses.")
    teams: tuple[Id, ...] = Field(default=(), description="Who may claim it; empty: everybody.")
    latency: Literal["interactive", "background", "batch"] | None = None
    fallback: Text | None = None
    automation: Literal["suggests", "acts_with_review", "acts_alone"] | None = None
    outcome_kinds: tuple[Id, ...] = ()

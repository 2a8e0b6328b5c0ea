"""In: what AI is used for. Out: the record of one use case: who owns it, how much depends on it, what it achieves."""

from __future__ import annotations

from typing import Literal

from schemas.control.base import Criticality, Id, Record, Text


class UseCase(Record):
    """One registered use case. `outcome_kinds` name the outcomes that its cost is divided by."""

    kind: Literal["use_case"] = "use_case"
    id: Id
    name: Text | None = None
    owner: Text
    contact: Text | None = None
    criticality: Criticality = "medium"
    data_class: Id | None = None
    latency: Literal["interactive", "background", "batch"] | None = None
    fallback: Text | None = None
    automation: Literal["suggests", "acts_with_review", "acts_alone"] | None = None
    outcome_kinds: tuple[Id, ...] = ()

"""In: a manager's word that a budget above its soft limit goes on. Out: the record of it.

One stands for each budget and level; it counts for the period that it names.
"""

from __future__ import annotations

from typing import Literal

from schemas.control.base import Id, Moment, Record
from schemas.control.decisions import Decision


class Acknowledgement(Record):
    """`decision.verdict` is `acknowledged`. The record's id is the budget's: the newest replaces the one before."""

    kind: Literal["acknowledgement"] = "acknowledgement"
    id: Id
    period_start: Moment
    level: Literal["soft", "hard"] = "soft"
    decision: Decision

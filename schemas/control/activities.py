"""In: work that is known to raise use: a load test, a migration, a launch. Out: the record of one planned activity.

A rise that it covers is told without a page, with the activity's name, and teaches nothing.
"""

from __future__ import annotations

from typing import Literal

from schemas.control.base import Id, Moment, Record, Text
from schemas.control.budgets import Scope


class PlannedActivity(Record):
    """Between the two moments, rises within the scope are expected. The scope may name department, team, use case."""

    kind: Literal["activity"] = "activity"
    id: Id
    scope: Scope
    what: Text
    owner: Text
    starts_at: Moment
    ends_at: Moment

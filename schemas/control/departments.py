"""In: how the organisation is cut. Out: the record of one department: what it belongs to, and who answers for it."""

from __future__ import annotations

from typing import Literal

from schemas.control.base import Id, Record, Text


class Department(Record):
    """One department. A budget of it counts those below it too; a circle of parents is refused."""

    kind: Literal["department"] = "department"
    id: Id
    parent: Id | None = None
    name: Text | None = None
    owner: Text | None = None
    contact: Text | None = None

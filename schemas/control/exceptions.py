"""In: who may go beyond a limit or a policy, why and until when. Out: the record of one exception.

The contract stands so that documents can be written and reviewed; `apply` refuses it until agents evaluate it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from schemas.control.base import Id, Moment, Record, Text


class ExceptionGrant(Record):
    """An extra amount on a budget, or leave from a policy, with its evidence, its approver and its end."""

    kind: Literal["exception"] = "exception"
    id: Id
    budget: Id | None = None
    policy: Id | None = None
    extra_limit: Decimal | None = None
    permits: Text | None = None
    justification: Text
    expected_impact: Text
    data_class: Id | None = None
    requested_by: Text
    approved_by: Text | None = None
    valid_from: Moment
    valid_to: Moment

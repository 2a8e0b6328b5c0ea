"""In: a record of any kind, or its JSON. Out: the typed record and its key on `governance.control`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget
from schemas.control.departments import Department
from schemas.control.directory import Sender, Team
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.feedback import AlertFeedback
from schemas.control.models import CatalogueModel
from schemas.control.policies import Policy
from schemas.control.principals import Principal
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import PriceOverride

ControlRecord = (
    Team
    | Department
    | Sender
    | UseCase
    | CatalogueModel
    | Budget
    | PriceOverride
    | Policy
    | Principal
    | ExceptionGrant
    | ExceptionRule
    | Acknowledgement
    | PlannedActivity
    | AlertFeedback
)
_ADAPTER: Final[TypeAdapter[ControlRecord]] = TypeAdapter(Annotated[ControlRecord, Field(discriminator="kind")])

#: Kinds that the workers of this version act on; `apply` refuses the others by name.
EVALUATED_KINDS: Final = (
    "team",
    "department",
    "sender",
    "use_case",
    "model",
    "budget",
    "price",
    "policy",
    "principal",
    "exception",
    "exception_rule",
    "acknowledgement",
    "activity",
    "feedback",
)


def record_key(record: ControlRecord) -> str:
    """`KIND/ID`: the message key, unique among all records."""
    if isinstance(record, Sender):
        return f"sender/{record.sender}/{record.id}"
    return f"{record.kind}/{record.id}"


def parse_record(value: bytes | str) -> ControlRecord:
    """Read one record from its JSON. Raises pydantic.ValidationError."""
    return _ADAPTER.validate_json(value)


def dump_record(record: ControlRecord) -> bytes:
    """The record as canonical JSON: equal records have equal bytes."""
    return record.model_dump_json(exclude_none=True).encode()

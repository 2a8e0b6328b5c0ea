"""In: nothing. Out: the kinds of documents that files may hold, the model of each, and the kinds of records that it
defines.
"""

from __future__ import annotations

from typing import Final

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Budget
from schemas.control.departments import Department
from schemas.control.exceptions import ExceptionGrant, ExceptionRule
from schemas.control.models import CatalogueModel
from schemas.control.policies import Policy
from schemas.control.principals import Principal
from schemas.control.use_cases import UseCase
from schemas.prices.overrides import PriceOverride

SingleModel = (
    type[UseCase]
    | type[CatalogueModel]
    | type[Budget]
    | type[PriceOverride]
    | type[Department]
    | type[Policy]
    | type[Principal]
    | type[ExceptionGrant]
    | type[ExceptionRule]
    | type[Acknowledgement]
    | type[PlannedActivity]
)
#: Documents that are one record each.
SINGLE: Final[dict[str, SingleModel]] = {
    "department": Department,
    "use_case": UseCase,
    "model": CatalogueModel,
    "budget": Budget,
    "price": PriceOverride,
    "policy": Policy,
    "principal": Principal,
    "exception": ExceptionGrant,
    "exception_rule": ExceptionRule,
    "acknowledgement": Acknowledgement,
    "activity": PlannedActivity,
}
KINDS: Final = ("directory", *SINGLE, "subtree")
#: Kinds that no file brings, and what does. Files neither define nor prune them.
BY_COMMAND: Final[dict[str, str]] = {
    "feedback": "what people say of alerts comes by `streamgauge alerts ack|expected|noise`, as it happens"
}
#: Kinds of records that a document of each kind defines, for `--prune`.
DEFINES: Final[dict[str, tuple[str, ...]]] = {"directory": ("team", "sender"), **{kind: (kind,) for kind in SINGLE}}

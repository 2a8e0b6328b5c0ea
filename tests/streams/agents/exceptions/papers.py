"""Principals, exceptions and acknowledgements for tests, decided by review unless a test says otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.base import us_moment
from schemas.control.decisions import Decision
from schemas.control.exceptions import ExceptionGrant
from schemas.control.principals import Principal

REVIEWER = Principal(id="grace", rights=("finance",))
MANAGER = Principal(id="ada", rights=("manager",), teams=("search",))


def decision(verdict: Any = "approved", by: str = "grace", at_us: int = 0, **more: Any) -> Decision:
    return Decision(**({"verdict": verdict, "by": by, "at": us_moment(at_us), "via": "review"} | more))


def grant(from_us: int, to_us: int, extra: str = "50", exception: str = "more", **more: Any) -> ExceptionGrant:
    fields: dict[str, Any] = {
        "id": exception,
        "budget": "b",
        "extra": Decimal(extra),
        "justification": "a launch",
        "expected_impact": "fewer tickets",
        "requested_by": "ada",
        "requested_at": us_moment(0),
        "valid_from": us_moment(from_us),
        "valid_to": us_moment(to_us),
        "decision": decision(),
    }
    if "permits" in more:
        del fields["budget"], fields["extra"]
    return ExceptionGrant(**(fields | more))


def word(period_us: int, budget: str = "b", by: str = "ada", level: Any = "soft") -> Acknowledgement:
    return Acknowledgement(
        id=budget, period_start=us_moment(period_us), level=level, decision=decision("acknowledged", by)
    )

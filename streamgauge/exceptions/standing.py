"""In: an exception and the control records. Out: how it stands now, in one word and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from runtime.rights import exception_fault
from schemas.control.exceptions import ExceptionGrant
from schemas.control.snapshot import ControlSnapshot

State = Literal["requested", "lapsed", "approved", "in_force", "expired", "denied", "revoked", "refused"]
#: What is over: `exceptions list` shows it only when asked.
OVER: tuple[State, ...] = ("lapsed", "expired", "denied", "revoked", "refused")


@dataclass(frozen=True, slots=True)
class Standing:
    """`why`: of a refused one, what is wrong with its decision."""

    grant: ExceptionGrant
    state: State
    unit: str | None
    why: str | None

    def amount(self) -> str:
        """`+$500`, `+20,000 tokens`, or what is permitted."""
        grant = self.grant
        if grant.permits is not None:
            return ", ".join((*grant.permits.models, *(f"provider {one}" for one in grant.permits.providers)))
        return extra_text(grant.extra or Decimal(), self.unit)

    def about(self) -> str:
        grant = self.grant
        return grant.budget if grant.budget is not None else grant.permits.scope.text() if grant.permits else ""

    def as_json(self) -> dict[str, Any]:
        return {"state": self.state, "why": self.why, **self.grant.model_dump(mode="json", exclude_none=True)}


def standing_of(grant: ExceptionGrant, snapshot: ControlSnapshot, now: datetime) -> Standing:
    """How it stands at `now`. Agents go by event time, so that they may see its end a little later."""
    budget = snapshot.budgets.get(grant.budget or "")
    fault = exception_fault(grant, snapshot)
    return Standing(grant, _state(grant, fault, now), None if budget is None else budget.unit, fault)


def _state(grant: ExceptionGrant, fault: str | None, now: datetime) -> State:
    if fault is not None:
        return "refused"
    if grant.decision is None:
        return "requested" if now < grant.valid_to else "lapsed"
    if grant.decision.verdict == "denied":
        return "denied"
    if grant.decision.verdict == "revoked":
        return "revoked"
    if now < grant.valid_from:
        return "approved"
    return "in_force" if now < grant.valid_to else "expired"


def extra_text(extra: Decimal, unit: str | None) -> str:
    """An amount as documents write it, for people."""
    plain = f"{extra:,f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return f"+${plain}" if unit == "usd" else f"+{plain}{' ' + unit.replace('_', ' ') if unit else ''}"


def now_utc() -> datetime:
    return datetime.now(UTC)

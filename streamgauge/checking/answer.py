"""In: nothing. Out: what a gateway is told: the decision, its reasons, and how fresh they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

Decision = Literal["allow", "warn", "needs_acknowledgement", "stop"]
#: The mildest first: of several reasons the gravest decides.
GRAVITY: Final[dict[Decision, int]] = {"allow": 0, "warn": 1, "needs_acknowledgement": 2, "stop": 3}

_NOT_PLAIN: Final = re.compile(r"[^ -~]")

#: Said with every answer.
NOT_A_LOCK: Final = "advice from what was counted; not a lock: calls under way are counted afterwards"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one budget, one policy, or the check itself has to say.

    `decision` is what it asks for; `would` what it would ask for if it were enforced, where it only observes. `used`
    and `limit` are in `unit`: nano-dollars, tokens or calls.
    """

    kind: Literal["budget", "policy", "check"]
    id: str
    decision: Decision
    text: str
    state: str
    would: Decision | None = None
    used: int | None = None
    limit: int | None = None
    unit: str | None = None
    level: str | None = None
    mode: str | None = None
    owner: str | None = None
    contact: str | None = None
    #: Seconds until its period ends, where that would lift it.
    ends_in_s: int | None = None

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is known may be.

    `read_behind_s`: seconds since all that stood on the topics was known; None: they were never read to their end.
    `watermark`: up to which event time the newest status counts; `evaluated_at`: when that was written. RFC 3339.
    """

    read_behind_s: float | None
    watermark: str | None
    evaluated_at: str | None
    stale: bool

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Answer:
    """`resolved`: the attributes that were judged by; `lost`: claims that the documents contradict."""

    decision: Decision
    reasons: tuple[Reason, ...]
    freshness: Freshness
    resolved: dict[str, str]
    lost: dict[str, str]
    #: How many budgets matched the call.
    budgets: int
    retry_after_s: int | None = None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "decision": self.decision,
            "reasons": [reason.as_json() for reason in self.reasons],
            "freshness": self.freshness.as_json(),
            "resolved": self.resolved,
            "claims_lost": self.lost,
            "budgets": self.budgets,
            "note": NOT_A_LOCK,
        }
        if self.retry_after_s is not None:
            told["retry_after"] = self.retry_after_s
        return told

    @property
    def headline(self) -> str:
        """The gravest reason in one line of plain ASCII, fit for a header."""
        mine = [reason.text for reason in self.reasons if reason.decision == self.decision]
        text = mine[0] if mine and self.decision != "allow" else "nothing speaks against it"
        return _NOT_PLAIN.sub("?", text)[:500]

"""In: a control snapshot. Out: everything that questions are judged by, compiled once per snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.control.snapshot import ControlSnapshot
from streamgauge.checking.budgets import BudgetIndex
from streamgauge.checking.policies import PolicyJudge
from streamgauge.checking.resolve import Resolver


@dataclass(frozen=True, slots=True)
class Rulebook:
    """`position` is the control log's. `knows_persons`: whether any budget or membership is about a person."""

    position: int
    resolver: Resolver
    budgets: BudgetIndex
    policies: PolicyJudge
    knows_persons: bool


def compile_rulebook(snapshot: ControlSnapshot, user_key: bytes | None, before: Rulebook | None = None) -> Rulebook:
    """Compile a snapshot; what `before` knew of budgets that have not changed is kept."""
    budgets = BudgetIndex(snapshot.budgets.values(), None if before is None else before.budgets)
    return Rulebook(
        snapshot.position,
        Resolver(snapshot, user_key),
        budgets,
        PolicyJudge(snapshot),
        budgets.has_personal or any(kind == "user" for kind, _ in snapshot.senders),
    )

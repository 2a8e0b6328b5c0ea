"""In: a control snapshot. Out: everything that a batch is decided by, compiled once per snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.control.snapshot import ControlSnapshot
from schemas.prices.card import Provisional, RateCard
from streams.enrich.attribute import DirectoryIndex
from streams.enrich.budget_rows import BudgetIndex
from streams.enrich.model_classes import ModelClasses
from streams.enrich.policy.columns import PolicyIndex
from streams.enrich.use_cases import UseCaseIndex


@dataclass(frozen=True, slots=True)
class Rules:
    """What enrichment depends on besides the event. `position` is the control log's, written on every output."""

    position: int
    directory: DirectoryIndex
    use_cases: UseCaseIndex
    policies: PolicyIndex
    classes: ModelClasses
    card: RateCard
    budgets: BudgetIndex


class RulesCompiler:
    """Turns snapshots into Rules, and keeps what a new snapshot did not change: the rate card is the dear part."""

    def __init__(self, provisional: Provisional) -> None:
        self._provisional = provisional
        self._last: tuple[ControlSnapshot, Rules] | None = None

    def compile(self, snapshot: ControlSnapshot) -> Rules:
        """Raises schemas.prices' OverrideConflict when two price overrides contradict each other."""
        if self._last is not None and self._last[0].position == snapshot.position:
            return self._last[1]
        if self._last is not None and self._last[0].prices == snapshot.prices:
            card = self._last[1].card
        else:
            card = RateCard.compile(snapshot.prices, self._provisional)
        directory = DirectoryIndex(snapshot)
        rules = Rules(
            snapshot.position,
            directory,
            UseCaseIndex(snapshot, directory),
            PolicyIndex(snapshot),
            ModelClasses(snapshot.models.values()),
            card,
            BudgetIndex(snapshot.budgets.values()),
        )
        self._last = (snapshot, rules)
        return rules

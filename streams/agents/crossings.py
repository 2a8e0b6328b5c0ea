"""In: levels of budgets that were reached or left. Out: what has been told about each of them, so that it is told
once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from schemas.control.budgets import Budget, Level
from streams.agents.floors import DAY_US, is_over


@dataclass(frozen=True, slots=True)
class CrossingKey:
    budget_id: str
    period_start_us: int
    level: Level

    def text(self) -> str:
        return f"{self.level}|{self.period_start_us}|{self.budget_id}"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One level of one budget in one period. Event times in µs, amounts in the budget's unit.

    `revision` rises with everything published about it: a level that is left because the limit was raised, and reached
    again, keeps its id and goes on counting. `budget` is the document by which it was last judged, its limit raised by
    `extra` whole units that exceptions added. `dated`: the watermark has passed the crossing, so `occurred_us` is
    certain. `acknowledged`: whose word lets it go on.
    """

    key: CrossingKey
    revision: int
    state: Literal["firing", "resolved"]
    period_end_us: int
    occurred_us: int
    observed: int
    historical: bool
    budget: Budget
    dated: bool = False
    extra: int = 0
    acknowledged: str | None = None

    def dump(self) -> str:
        fields = asdict(replace(self, budget=None))  # type: ignore[arg-type]
        return json.dumps({**fields, "budget": self.budget.model_dump(mode="json", exclude_none=True)})

    @staticmethod
    def load(text: str) -> Crossing:
        fields = json.loads(text)
        fields["key"] = CrossingKey(**fields["key"])
        fields["budget"] = Budget.model_validate(fields["budget"])
        return Crossing(**fields)


class Crossings:
    """All crossings of a shard's home budgets by key."""

    def __init__(self) -> None:
        self.all: dict[CrossingKey, Crossing] = {}
        self.firing: set[CrossingKey] = set()
        self._undated: set[CrossingKey] = set()
        self._changed: set[CrossingKey] = set()
        self._pruned: int | None = None

    def put(self, crossing: Crossing) -> None:
        self.all[crossing.key] = crossing
        (self.firing.add if crossing.state == "firing" else self.firing.discard)(crossing.key)
        undated = crossing.state == "firing" and not crossing.dated
        (self._undated.add if undated else self._undated.discard)(crossing.key)
        self._changed.add(crossing.key)

    def undated(self) -> list[Crossing]:
        """Firing crossings whose moment is not certain yet."""
        return [self.all[key] for key in sorted(self._undated, key=_order)]

    def firing_of(self, budget_id: str) -> list[Crossing]:
        return [self.all[key] for key in sorted(self.firing, key=_order) if key.budget_id == budget_id]

    def ended(self, watermark_us: int | None) -> list[Crossing]:
        """Firing crossings of periods that the watermark has passed."""
        if watermark_us is None:
            return []
        due = [key for key in self.firing if self.all[key].period_end_us <= watermark_us]
        return [self.all[key] for key in sorted(due, key=_order)]

    def prune(self, watermark_us: int | None) -> None:
        """Forget resolved crossings of periods whose totals are let go. Looked for once a day of event time."""
        day = None if watermark_us is None else watermark_us // DAY_US
        if day == self._pruned:
            return
        self._pruned = day
        for key in [key for key, one in self.all.items() if is_over(one.budget, one.period_end_us, watermark_us)]:
            if key not in self.firing:
                del self.all[key]
                self._changed.add(key)

    def mark_all(self) -> None:
        """Let the next `take_changes` give everything."""
        self._changed.update(self.all)

    def take_changes(self) -> dict[str, str | None]:
        changes = {key.text(): self.all[key].dump() if key in self.all else None for key in self._changed}
        self._changed.clear()
        return changes


def _order(key: CrossingKey) -> tuple[str, int, str]:
    return key.budget_id, key.period_start_us, key.level

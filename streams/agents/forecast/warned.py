"""In: forecasts that were worth an alert. Out: what was told of each, so that it is told once a period and rule."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from schemas.control.budgets import Budget

Rule = Literal["above_plan", "chance"]
RULES: Final[tuple[Rule, ...]] = ("above_plan", "chance")


@dataclass(frozen=True, slots=True)
class WarningKey:
    budget_id: str
    start_us: int
    rule: Rule

    def text(self) -> str:
        return f"{self.rule}|{self.start_us}|{self.budget_id}"


@dataclass(frozen=True, slots=True)
class ForecastWarning:
    """One rule of one budget in one period. Amounts are in the budget's unit; `budget` is the document it was last
    judged by, with its limit as it held. `calm_since`: the hour since which it would not be told.
    """

    key: WarningKey
    revision: int
    state: Literal["firing", "resolved"]
    end_us: int
    occurred_us: int
    p10: int
    p50: int
    p90: int
    chance: float
    exhausted_us: int | None
    #: As in `schemas.status.Forecast`.
    method: str
    historical: bool
    budget: Budget
    calm_since: int | None = None

    def dump(self) -> str:
        fields = asdict(replace(self, budget=None))  # type: ignore[arg-type]
        return json.dumps({**fields, "budget": self.budget.model_dump(mode="json", exclude_none=True)})

    @staticmethod
    def load(text: str) -> ForecastWarning:
        fields = json.loads(text)
        fields["key"] = WarningKey(**fields["key"])
        fields["budget"] = Budget.model_validate(fields["budget"])
        return ForecastWarning(**fields)


class ForecastWarnings:
    """All of a shard's, by key."""

    def __init__(self) -> None:
        self.all: dict[WarningKey, ForecastWarning] = {}
        self.firing: set[WarningKey] = set()
        self._changed: set[WarningKey] = set()

    def put(self, warning: ForecastWarning) -> None:
        self.all[warning.key] = warning
        (self.firing.add if warning.state == "firing" else self.firing.discard)(warning.key)
        self._changed.add(warning.key)

    def in_order(self) -> list[ForecastWarning]:
        """Those that fire."""
        return [self.all[key] for key in sorted(self.firing, key=WarningKey.text)]

    def prune(self, floor_us: int) -> None:
        """Forget what is resolved of periods that ended before the floor."""
        for key in [key for key, one in self.all.items() if one.end_us < floor_us and key not in self.firing]:
            del self.all[key]
            self._changed.add(key)

    def mark_all(self) -> None:
        self._changed.update(self.all)

    def take_changes(self) -> dict[str, str | None]:
        changes = {f"forecast/{key.text()}": self.all[key].dump() if key in self.all else None for key in self._changed}
        self._changed.clear()
        return changes

    def restore(self, text: str) -> None:
        warning = ForecastWarning.load(text)
        self.put(warning)
        self._changed.discard(warning.key)

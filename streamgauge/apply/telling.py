"""In: a plan, its differences and its effects. Out: lines for people, at most 100 columns wide; the same as plain data
for scripts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from streamgauge.apply.differences import differences
from streamgauge.apply.effects import Effect
from streamgauge.apply.plan import Change, Plan

WIDTH: Final = 100
_INDENT: Final = " " * 8


def told(plan: Plan, effects: Sequence[Effect]) -> Iterator[str]:
    """Every change field by field, and under it what it does to the budget's state."""
    by_budget = {effect.budget_id: effect for effect in effects}
    for change in plan.changes:
        yield f"{change.action:<7} {change.key}"
        if change.action != "delete":
            yield from _fields(change)
        effect = by_budget.pop(change.key.removeprefix("budget/"), None) if _is_budget(change) else None
        if effect is not None:
            yield from _wrapped(effect.sentence, "▸ ")
    if by_budget:
        yield "by exceptions:"
        for effect in by_budget.values():
            yield f"        budget/{effect.budget_id}"
            yield from _wrapped(effect.sentence, "▸ ")


def as_data(plan: Plan, effects: Sequence[Effect], notes: Sequence[str] = (), *, applied: bool) -> dict[str, Any]:
    """For `--json`. Amounts are in the unit's own whole numbers: nano-dollars, tokens, calls."""
    return {
        "applied": applied,
        "changes": [
            {
                "action": change.action,
                "record": change.key,
                "fields": [
                    {"field": one.field, "before": one.before, "after": one.after} for one in differences(change)
                ],
            }
            for change in plan.changes
        ],
        "effects": [
            {
                "budget": one.budget_id,
                "before": one.before,
                "after": one.after,
                "used": one.used,
                "limit": one.limit,
                "unit": one.unit,
                "sentence": one.sentence,
            }
            for one in effects
        ],
        "notes": list(notes),
        "unchanged": plan.unchanged,
        "unmanaged": plan.unmanaged,
    }


def _fields(change: Change) -> Iterator[str]:
    found = differences(change)
    lines = [str(one) for one in found]
    if all(len(getattr(record, "terms", ())) <= 1 for record in (change.before, change.record)):
        # Of what has no history its only term is the record itself.
        lines = [line.removeprefix("terms.0.") for line in lines]
    if change.action == "create":
        # A new record in as few lines as hold it.
        lines = [", ".join(lines)]
    for line in lines:
        yield from _wrapped(line, "")


def _wrapped(text: str, mark: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=_INDENT + mark, subsequent_indent=_INDENT + " " * (len(mark) + 2))


def _is_budget(change: Change) -> bool:
    return change.key.startswith("budget/")

"""In: the table of one tally message. Out: its policy rows, in an order that does not depend on the writer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from streams.agents.arrow_columns import is_null

_TEXTS: Final = (
    "policy_rule",
    "policy_verdict",
    "team_id",
    "use_case",
    "sub_key",
    "department",
    "workflow",
    "model_class",
)
_NUMBERS: Final = ("minute", "calls", "cost_nanousd", "provisional_nanousd")


class PolicyRow(NamedTuple):
    """Calls of one hour, which begins at `minute`. Empty texts stand for null. `cost` is in nano-USD, with unpriced
    calls at their provisional price; `unknown` is the data class that nobody knows.
    """

    minute: int
    rule: str
    verdict: str
    team: str
    use_case: str
    unknown: str
    department: str
    workflow: str
    model_class: str
    calls: int
    cost: int


def policy_rows(tables: Sequence[pa.Table]) -> list[PolicyRow]:
    """All of a message, ordered by hour."""
    found: list[PolicyRow] = []
    for table in tables:
        rules = table["policy_rule"]
        if rules.null_count == len(rules):
            continue
        mine = table.select([*_TEXTS, *_NUMBERS]).filter(pa.array(~is_null(rules)))
        texts = [[text or "" for text in mine[name].to_pylist()] for name in _TEXTS]
        minute, calls, cost, provisional = (mine[name].to_pylist() for name in _NUMBERS)
        costs = [known + stated for known, stated in zip(cost, provisional, strict=True)]
        found.extend(map(PolicyRow._make, zip(minute, *texts, calls, costs, strict=True)))
    return sorted(found)

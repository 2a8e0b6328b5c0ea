"""In: exceptions that ClickHouse remembers. Out: granted, used and achieved, and what each ceiling may learn from it.

An exception that was used says that the limit was too low; one that was not, that the request was. One alone says
little: a limit is said to be raised regularly from the second on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from sinks.database import Database

#: An exception counts as used from this share of its extra amount on.
USED_SHARE: Final = 0.5
#: From so many exceptions on, a budget's limit is raised regularly.
REGULAR: Final = 2
#: Steps after which nothing more is used.
_OVER: Final = ("expired", "revoked")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One granted exception. Amounts are in whole units: nano-USD, tokens or calls. `used` None: not known yet."""

    exception_id: str
    budget_id: str | None
    team_id: str | None
    unit: str
    granted: int | None
    used: int | None
    valid_from: datetime
    valid_to: datetime
    decided_by: str | None
    last_step: str
    outcomes: int | None
    cost_before_usd: float | None
    cost_during_usd: float | None

    @property
    def used_share(self) -> float | None:
        return self.used / self.granted if self.used is not None and self.granted else None


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a budget's exceptions say of its limit, or of the requests."""

    budget_id: str
    kind: Literal["raise_the_limit", "ask_for_less"]
    exceptions: int
    amount: int
    unit: str
    sentence: str


def read_outcomes(database: Database, since: datetime) -> list[Outcome]:
    """Exceptions whose end is not before `since`, newest end first."""
    sql = resources.files("streamgauge.exceptions").joinpath("outcomes.sql").read_text(encoding="utf-8")
    answer = database.client.query(sql, parameters={"since": since})
    return [_outcome(dict(zip(answer.column_names, row, strict=True))) for row in answer.result_rows]


def learn(outcomes: Iterable[Outcome], shown: Any) -> list[Lesson]:
    """Lessons by budget from the exceptions that are over. `shown(amount, unit)` writes an amount for people."""
    by_budget: defaultdict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        if one.budget_id is not None and one.last_step in _OVER and one.used_share is not None:
            by_budget[one.budget_id].append(one)
    lessons = []
    for budget_id, family in sorted(by_budget.items()):
        used = [one for one in family if (one.used_share or 0) >= USED_SHARE]
        unused = [one for one in family if not one.used]
        unit = family[0].unit
        if len(used) >= REGULAR:
            usual = _middle([one.used or 0 for one in used])
            lessons.append(
                Lesson(
                    budget_id,
                    "raise_the_limit",
                    len(used),
                    usual,
                    unit,
                    f"{budget_id}: {len(used)} of {len(family)} exceptions were used, {shown(usual, unit)} each as a "
                    f"rule: the limit is too low by about that much",
                )
            )
        if unused and len(unused) * 2 >= len(family):
            idle = sum(one.granted or 0 for one in unused)
            lessons.append(
                Lesson(
                    budget_id,
                    "ask_for_less",
                    len(unused),
                    idle,
                    unit,
                    f"{budget_id}: {len(unused)} of {len(family)} exceptions were granted and never used, "
                    f"{shown(idle, unit)} in all: ask what they were for before the next",
                )
            )
    return lessons


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]


def _outcome(row: dict[str, Any]) -> Outcome:
    return Outcome(
        exception_id=row["exception_id"],
        budget_id=row["budget_id"] or None,
        team_id=row["team_id"] or None,
        unit=row["unit"],
        granted=_whole(row["granted"]),
        used=_whole(row["used_of_extra"]),
        valid_from=_utc(row["valid_from"]),
        valid_to=_utc(row["valid_to"]),
        decided_by=row["decided_by"] or None,
        last_step=row["last_step"],
        outcomes=_whole(row["outcomes_during"]),
        cost_before_usd=_share(row["cost_per_outcome_before_usd"]),
        cost_during_usd=_share(row["cost_per_outcome_during_usd"]),
    )


def _utc(value: datetime) -> datetime:
    """ClickHouse's client gives UTC columns without a zone."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _share(value: Any) -> float | None:
    return None if value is None else float(value)

"""An evaluator of budgets in plain Python, message by message, that shares no code with the agents: it reads the
documents' fields and works everything out anew, slowly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil
from zoneinfo import ZoneInfo

from schemas.control.acknowledgements import Acknowledgement
from schemas.control.budgets import Budget
from schemas.control.exceptions import ExceptionGrant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
#: Days for which a period is kept after its end.
KEPT = {"hour": 2, "day": 14, "week": 35, "month": 69, "quarter": 69, "span": 69}
LEVELS = ("warning", "soft", "hard")
#: Periods that were walked already, by calendar.
_WALKED: dict[tuple[str, str], list[tuple[int, int]]] = {}


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def period(budget: Budget, us: int) -> tuple[int, int] | None:
    """[start, end) by walking local hours; no arithmetic on calendars."""
    if budget.period == "span":
        assert budget.starts_at is not None
        assert budget.ends_at is not None
        span = micros(budget.starts_at), micros(budget.ends_at)
        return span if span[0] <= us < span[1] else None
    known = _WALKED.setdefault((budget.period, budget.time_zone), [])
    for walked in known:
        if walked[0] <= us < walked[1]:
            return walked
    zone = ZoneInfo(budget.time_zone)

    def name(at: datetime) -> tuple[object, ...]:
        local = at.astimezone(zone)
        if budget.period == "hour":
            return local.date(), local.hour, local.utcoffset()
        if budget.period == "day":
            return (local.date(),)
        if budget.period == "week":
            return tuple(local.isocalendar()[:2])
        if budget.period == "quarter":
            return local.year, (local.month - 1) // 3
        return local.year, local.month

    step = timedelta(minutes=15)
    at = EPOCH + timedelta(minutes=us // 900_000_000 * 15)
    mine, first, last = name(at), at, at + step
    while name(first - step) == mine:
        first -= step
    while name(last) == mine:
        last += step
    known.append((micros(first), micros(last)))
    return known[-1]


@dataclass
class Level:
    """What was told of one level of one period, and whether it may be told again."""

    fired: bool = False
    firing: bool = False
    stands: tuple[object, ...] = ()
    end_us: int = 0
    word: str | None = None


Key = tuple[str, int, str]
Told = tuple[str, int, int]


@dataclass
class Brute:
    """Documents in force, totals, and every alert by level: (state, observed, limit)."""

    now_us: int
    inputs: int
    budgets: dict[str, Budget] = field(default_factory=dict)
    grants: list[ExceptionGrant] = field(default_factory=list)
    words: list[Acknowledgement] = field(default_factory=list)
    marks: dict[int, int] = field(default_factory=dict)
    watermark_us: int | None = None
    #: By budget, rule and period: what was used, in every unit.
    used: dict[tuple[str, str, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    levels: dict[Key, Level] = field(default_factory=lambda: defaultdict(Level))
    told: dict[Key, list[Told]] = field(default_factory=lambda: defaultdict(list))
    periods: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def scale(self, budget: Budget) -> int:
        return 10**9 if budget.unit == "usd" else 1

    def in_force(self, budget: Budget, start_us: int, end_us: int) -> list[ExceptionGrant]:
        at = self.now_us if self.watermark_us is None else self.watermark_us
        at = min(max(at, start_us), end_us - 1)
        return [
            one
            for one in self.grants
            if one.budget == budget.id
            and one.decision is not None
            and one.decision.verdict == "approved"
            and micros(one.valid_from) <= at < micros(one.valid_to)
        ]

    def limit(self, budget: Budget, start_us: int, end_us: int) -> int:
        extra = sum((one.extra or Decimal(0) for one in self.in_force(budget, start_us, end_us)), Decimal(0))
        return int((budget.limit + extra) * self.scale(budget))

    def levels_of(self, budget: Budget, limit: int) -> dict[str, int]:
        shares = (budget.levels.warning, budget.levels.soft, budget.levels.hard)
        return {level: ceil(Fraction(share) * limit) for level, share in zip(LEVELS, shares, strict=True)}

    def documents(self, budgets: list[Budget], grants: list[ExceptionGrant], words: list[Acknowledgement]) -> None:
        """Newer documents: what they change in periods that have not ended is told at once."""
        new = {one.id: one for one in budgets}
        for (budget_id, start_us, level), one in self.levels.items():
            old, now = self.budgets.get(budget_id), new.get(budget_id)
            if one.firing and old is not None and (now is None or now.rule != old.rule):
                one.fired = one.firing = False
                self.tell((budget_id, start_us, level), "resolved", -1, -1)
        self.budgets, self.grants, self.words = new, grants, words
        self.judge_all()
        self.judge_words()

    def judge_all(self) -> None:
        for budget_id, rule, start_us in list(self.used):
            budget = self.budgets.get(budget_id)
            if budget is None or budget.rule != rule:
                continue
            found = period(budget, start_us)
            assert found is not None
            if self.watermark_us is None or found[1] > self.watermark_us:
                self.judge(budget, *found)

    def judge(self, budget: Budget, start_us: int, end_us: int) -> None:
        limit = self.limit(budget, start_us, end_us)
        used = self.used[budget.id, budget.rule, start_us][budget.unit]
        for level, units in self.levels_of(budget, limit).items():
            key = budget.id, start_us, level
            one, stands = self.levels[key], (units, budget.mode, limit)
            if used >= units and not one.fired:
                self.fire(key, stands, end_us, used, limit)
            elif one.fired and used < units:
                one.fired = False
                if one.firing:
                    one.firing = False
                    self.tell(key, "resolved", used, limit)
            elif one.firing and one.stands != stands:
                one.stands = stands
                self.tell(key, "updated", used, limit)

    def fire(self, key: Key, stands: tuple[object, ...], end_us: int, observed: int, limit: int) -> None:
        one = self.levels[key]
        one.fired = one.firing = True
        one.stands, one.end_us = stands, end_us
        self.tell(key, "firing", observed, limit)

    def judge_words(self) -> None:
        for word in self.words:
            key = word.id, micros(word.period_start), word.level
            one = self.levels.get(key)
            if word.id in self.budgets and one is not None and one.firing and one.word != word.decision.by:
                one.word = word.decision.by
                last = self.told[key][-1]
                self.tell(key, "updated", last[1], last[2])

    def tell(self, key: Key, state: str, observed: int, limit: int) -> None:
        self.told[key].append((state, observed, limit))

    def message(self, partition: int, mark_us: int, rows: list[tuple[Budget, int, Counter[str]]]) -> None:
        """One message: its mark, and (budget as it was counted by, quarter, use by unit), one for each quarter."""
        self.marks[partition] = max(mark_us, self.marks.get(partition, mark_us))
        if len(self.marks) == self.inputs:
            self.watermark_us = max(min(self.marks.values()), self.watermark_us or 0)
        self.judge_all()
        before = {key: use.copy() for key, use in self.used.items()}
        touched: dict[tuple[str, str, int], list[Counter[str]]] = defaultdict(list)
        for budget, quarter_us, units in sorted(rows, key=lambda row: row[1]):
            found = period(budget, quarter_us)
            assert found is not None
            if self.watermark_us is not None:
                day_us = self.watermark_us // DAY_US * DAY_US
                if found[1] <= day_us - KEPT[budget.period] * DAY_US:
                    continue
            key = budget.id, budget.rule, found[0]
            self.used[key] += units
            touched[key].append(units)
        for (budget_id, rule, start_us), amounts in touched.items():
            known = self.budgets.get(budget_id)
            if known is None or known.rule != rule:
                continue
            found = period(known, start_us)
            assert found is not None
            limit = self.limit(known, *found)
            for level, least in self.levels_of(known, limit).items():
                running: int = (
                    before[budget_id, rule, start_us][known.unit] if (budget_id, rule, start_us) in before else 0
                )
                for use in amounts:
                    running += use[known.unit]
                    if running >= least and not self.levels[budget_id, start_us, level].fired:
                        stands = (least, known.mode, limit)
                        self.fire((budget_id, start_us, level), stands, found[1], running, limit)
        self.judge_words()
        for level_key, state in self.levels.items():
            if state.firing and self.watermark_us is not None and state.end_us <= self.watermark_us:
                state.firing = False
                owner = self.budgets[level_key[0]]
                self.tell(level_key, "resolved", self.used[owner.id, owner.rule, level_key[1]][owner.unit], -1)

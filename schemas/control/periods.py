"""In: a budget and an instant. Out: the period that holds it, and how people call it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.control.base import QUARTER_US, moment_us, us_moment
from schemas.control.budgets import Budget
from schemas.control.budgets import Period as PeriodKind

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


@dataclass(frozen=True, slots=True)
class BudgetPeriod:
    """Event time [start_us, end_us). A day with a clock change has 23 or 25 hours."""

    start_us: int
    end_us: int

    @property
    def start_minute(self) -> int:
        return self.start_us // MINUTE_US

    def __contains__(self, us: int) -> bool:
        return self.start_us <= us < self.end_us


def period_of(budget: Budget, us: int) -> BudgetPeriod | None:
    """The budget's local hour, day, week (from Monday), month or quarter that holds the instant; its one span, or None
    outside of it.
    """
    zone = ZoneInfo(budget.time_zone)
    if budget.period == "span":
        assert budget.starts_at is not None
        assert budget.ends_at is not None
        span = BudgetPeriod(moment_us(budget.starts_at), moment_us(budget.ends_at))
        return span if us in span else None
    if budget.period == "hour":
        return _hour(us, zone)
    first, following = _dates(budget.period, us_moment(us).astimezone(zone).date())
    return BudgetPeriod(_midnight(first, zone), _midnight(following, zone))


def running_period(budget: Budget, us: int) -> BudgetPeriod:
    """As `period_of`, for an instant that is known to lie within a period. ValueError when it does not."""
    period = period_of(budget, us)
    if period is None:
        raise ValueError(f"budget {budget.id} has no period at {us_moment(us).isoformat()}")
    return period


def _dates(kind: PeriodKind, local: date) -> tuple[date, date]:
    """First day of the period that holds a local day, and first day of the next."""
    if kind == "day":
        return local, local + timedelta(days=1)
    if kind == "week":
        monday = local - timedelta(days=local.weekday())
        return monday, monday + timedelta(days=7)
    months = 3 if kind == "quarter" else 1
    first = local.replace(month=(local.month - 1) // months * months + 1, day=1)
    return first, (first + timedelta(days=31 * months + 1)).replace(day=1)


def period_name(budget: Budget, start_us: int) -> str:
    """`November 2026`, `21 November 2026`, `21 November 2026 14:00`, `week 47 of 2026`, `quarter 4 of 2026`, `1 May
    2026 to 30 June 2026`.
    """
    local = us_moment(start_us).astimezone(ZoneInfo(budget.time_zone))
    if budget.period == "month":
        return f"{local:%B %Y}"
    if budget.period == "quarter":
        return f"quarter {(local.month + 2) // 3} of {local.year}"
    if budget.period == "week":
        year, week, _ = local.isocalendar()
        return f"week {week} of {year}"
    day = f"{local.day} {local:%B %Y}"
    if budget.period == "hour":
        return f"{day} {local:%H:%M}"
    if budget.period == "span" and budget.ends_at is not None:
        last = (budget.ends_at - timedelta(microseconds=1)).astimezone(ZoneInfo(budget.time_zone))
        return f"{day} to {last.day} {last:%B %Y}"
    return day


def _hour(us: int, zone: ZoneInfo) -> BudgetPeriod:
    """By the offset that holds at the instant: the hour that a clock change repeats is two periods, and where clocks
    change by half an hour, periods of half an hour lie beside the change.
    """
    offset_us = _offset_us(us, zone)
    start_us = (us + offset_us) // HOUR_US * HOUR_US - offset_us
    quarters = [
        start
        for start in range(start_us, start_us + HOUR_US, QUARTER_US)
        if us - QUARTER_US < start <= us or _offset_us(start, zone) == offset_us
    ]
    return BudgetPeriod(quarters[0], quarters[-1] + QUARTER_US)


def _offset_us(us: int, zone: ZoneInfo) -> int:
    offset = us_moment(us).astimezone(zone).utcoffset() or timedelta()
    return round(offset.total_seconds()) * 1_000_000


def _midnight(day: date, zone: ZoneInfo) -> int:
    """µs of local midnight; where the clock jumps over midnight, of the instant it would have been before the jump."""
    return moment_us(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))

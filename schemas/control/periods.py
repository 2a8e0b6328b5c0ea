"""In: a budget's period kind and time zone, and an instant. Out: the period that holds it, and how people call it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.control.base import moment_us, us_moment
from schemas.control.budgets import Period as PeriodKind

MINUTE_US = 60_000_000


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


def period_of(kind: PeriodKind, time_zone: str, us: int) -> BudgetPeriod:
    """The local day or calendar month that holds the instant."""
    zone = ZoneInfo(time_zone)
    local = us_moment(us).astimezone(zone).date()
    if kind == "day":
        return BudgetPeriod(_midnight(local, zone), _midnight(local + timedelta(days=1), zone))
    first = local.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return BudgetPeriod(_midnight(first, zone), _midnight(following, zone))


def period_name(kind: PeriodKind, time_zone: str, start_us: int) -> str:
    """`November 2026`, `21 November 2026`."""
    local = us_moment(start_us).astimezone(ZoneInfo(time_zone))
    return f"{local:%B %Y}" if kind == "month" else f"{local.day} {local:%B %Y}"


def _midnight(day: date, zone: ZoneInfo) -> int:
    """µs of local midnight; where the clock jumps over midnight, of the instant it would have been before the jump."""
    return moment_us(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))

"""Periods of every kind, in zones with clock changes, half hours and three quarters: held against the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.control.base import QUARTER_US, moment_us, us_moment
from schemas.control.budgets import Budget, Period
from schemas.control.periods import HOUR_US, period_name, period_of, running_period

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Apia",
)
MOMENTS = st.integers(moment_us(datetime(2024, 1, 1, tzinfo=UTC)), moment_us(datetime(2029, 1, 1, tzinfo=UTC)))


def budget(period: Period, zone: str = "UTC") -> Budget:
    return Budget(id="one", limit=Decimal(1), period=period, time_zone=zone)


def label(period: Period, zone: str, us: int) -> tuple[object, ...]:
    """What the wall calendar calls the period: the same for all instants of one, and for no others."""
    local = us_moment(us).astimezone(ZoneInfo(zone))
    if period == "hour":
        return local.date(), local.hour, local.utcoffset()
    if period == "week":
        return tuple(local.isocalendar())[:2]
    return {
        "day": (local.date(),),
        "month": (local.year, local.month),
        "quarter": (local.year, (local.month - 1) // 3),
    }[period]


@given(period=st.sampled_from(("hour", "day", "week", "month", "quarter")), zone=st.sampled_from(ZONES), us=MOMENTS)
def test_a_period_holds_just_the_instants_that_the_calendar_calls_alike(period: Period, zone: str, us: int) -> None:
    found = running_period(budget(period, zone), us)
    assert us in found
    assert found.start_us % QUARTER_US == found.end_us % QUARTER_US == 0
    name = label(period, zone, us)
    assert label(period, zone, found.start_us) == label(period, zone, found.end_us - 1) == name
    # Where a clock change of half an hour falls into an hour, the two hours of one name touch.
    if period != "hour":
        assert label(period, zone, found.start_us - 1) != name != label(period, zone, found.end_us)
    for edge in (found.start_us, found.end_us - 1):
        assert running_period(budget(period, zone), edge) == found


def test_hours_of_a_day_with_a_clock_change() -> None:
    berlin = budget("hour", "Europe/Berlin")
    day = running_period(budget("day", "Europe/Berlin"), moment_us(datetime(2026, 10, 25, 12, tzinfo=UTC)))
    assert day.end_us - day.start_us == 25 * HOUR_US
    hours = {running_period(berlin, us) for us in range(day.start_us, day.end_us, QUARTER_US)}
    assert len(hours) == 25
    kolkata = running_period(budget("hour", "Asia/Kolkata"), moment_us(datetime(2026, 1, 1, 0, 10, tzinfo=UTC)))
    assert us_moment(kolkata.start_us) == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


def test_a_span_is_one_period_and_none_outside() -> None:
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    span = Budget(id="one", limit=Decimal(1), period="span", starts_at=start, ends_at=end)
    found = running_period(span, moment_us(start))
    assert (us_moment(found.start_us), us_moment(found.end_us)) == (start, end)
    for outside in (start - timedelta(microseconds=1), end):
        assert period_of(span, moment_us(outside)) is None
        with pytest.raises(ValueError, match="budget one has no period at 2026"):
            running_period(span, moment_us(outside))
    assert period_name(span, found.start_us) == "1 May 2026 to 30 June 2026"


def test_names_for_people() -> None:
    at = moment_us(datetime(2026, 11, 21, 14, tzinfo=UTC))
    names = {
        period: period_name(budget(period), running_period(budget(period), at).start_us)
        for period in ("hour", "day", "week", "month", "quarter")
    }
    assert names == {
        "hour": "21 November 2026 14:00",
        "day": "21 November 2026",
        "week": "week 47 of 2026",
        "month": "November 2026",
        "quarter": "quarter 4 of 2026",
    }

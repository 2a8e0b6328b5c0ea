"""The table of budgets: readable at 100 columns, whatever it has to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.alerts import AlertScope
from schemas.control.budgets import Budget, Scope
from schemas.status import Acknowledged, AsOf, BudgetStatus, Forecast, StatusPeriod
from streamgauge.cli.budgets_view import as_json, print_budgets
from tests.streamgauge.exceptions.people import grant, snapshot

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NANO = 1_000_000_000


def status(**more: Any) -> BudgetStatus:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    fields: dict[str, Any] = {
        "budget_id": "search-month",
        "rule": "r",
        "scope": AlertScope(team="search", stage="production"),
        "period": StatusPeriod(kind="month", start=start, end=datetime(2026, 12, 1, tzinfo=UTC), time_zone="UTC"),
        "unit": "nanousd",
        "used": 1_130 * NANO,
        "provisional": 0,
        "limit": 1_100 * NANO,
        "extra": 100 * NANO,
        "plan": 800 * NANO,
        "used_share": 1_130 / 1_100,
        "calls": 1,
        "state": "soft",
        "mode": "warn",
        "would_stop": False,
        "levels": {},
        "forecast": Forecast(
            p10=1_400 * NANO,
            p50=1_500 * NANO,
            p90=1_700 * NANO,
            chance_of_exceeding=0.98,
            exhausted_on=datetime(2026, 11, 18, 9, tzinfo=UTC),
            method="hour_of_week",
            weeks=6,
        ),
        "exceptions": ("launch",),
        "acknowledged": Acknowledged(level="soft", by="ada", at=NOW),
        "as_of": AsOf(watermark=NOW, offsets={}),
        "evaluated_at": NOW,
    }
    return BudgetStatus.model_validate(fields | more)


def shown(capsys: pytest.CaptureFixture[str], *statuses: BudgetStatus) -> list[str]:
    print_budgets(statuses, snapshot(grant()), NOW)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_everything_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    head, figures, *sentences = shown(capsys, status())
    assert head.split() == ["budget", "state", "used", "plan", "limit", "of", "limit", "left"]
    assert figures.split() == ["search-month", "soft", "$1,130", "$800", "$1,100", "█" * 13 + "▶", "103%", "10", "days"]
    assert sentences == [
        "  team search, stage production · November 2026 · warn · 141% of plan",
        "  forecast $1,500 ($1,400 to $1,700), 98% likely above the limit, reached about 18 November 09:00",
        "  the limit includes $100 by exception: launch until 27 November 12:00",
        "  soft limit acknowledged by ada, 20 November 12:00",
    ]


def test_no_line_is_wider_than_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    huge = {"used": 12_345_678_901 * NANO, "limit": 99_999_999_999 * NANO, "plan": 88_888_888_888 * NANO}
    lines = shown(
        capsys,
        status(),
        status(budget_id="a-very-long-id-of-a-budget/" + "x" * 90, exceptions=("launch", "y" * 120), **huge),
        status(budget_id="waits", state="unknown", state_reason="ClickHouse is asked for its past " * 6),
        status(budget_id="tokens", unit="tokens", used=987_654_321, limit=1_000_000_000, plan=None, used_share=0.987),
    )
    assert max(map(len, lines)) <= 100
    assert any(line == "a-very-long-id-of-a-budget/" + "x" * 73 for line in lines)
    assert "  unknown, because ClickHouse is asked" in "\n".join(lines)


def test_no_person_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, status(budget_id="b", scope=AlertScope(one_person=True)))
    assert lines[2] == "  one person · month from 1 November · warn · 141% of plan"


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(days=9, hours=3), "9 days"),
        (timedelta(hours=47), "47 h"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(seconds=-1), "over"),
    ],
)
def test_what_is_left(capsys: pytest.CaptureFixture[str], left: timedelta, told: str) -> None:
    period = StatusPeriod(kind="day", start=NOW - timedelta(days=1), end=NOW + left, time_zone="Asia/Kolkata")
    assert shown(capsys, status(period=period))[1].endswith(told)


def test_insufficient_history_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    base = status().forecast
    assert base is not None
    short = base.model_copy(update={"method": "insufficient_history", "weeks": 2.0, "exhausted_on": None})
    text = " ".join(" ".join(shown(capsys, status(forecast=short))).split())
    assert "98% likely above the limit, insufficient history (2 weeks): the rate so far stands in" in text


def test_json_says_the_same() -> None:
    budget = Budget(id="b", scope=Scope(team="search"), limit=Decimal(5), period="month")
    told = as_json(status(), snapshot(grant(), budget), NOW)
    assert told["plan_share"] == pytest.approx(1_130 / 800)
    assert told["left_s"] == 10.5 * 86_400
    assert told["exceptions_in_force"] == [{"id": "launch", "extra": "100", "valid_to": NOW + timedelta(days=7)}]
    assert told["forecast"]["p90"] == 1_700 * NANO


def test_a_level_that_speaks_names_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    unsaid = {"acknowledged": None, "forecast": None, "exceptions": ()}
    assert "  goes on when a manager says so: streamgauge budgets ack search-month; or ask for more:" in "\n".join(
        shown(capsys, status(**unsaid))
    )
    assert "  a reviewer can grant more: streamgauge exceptions request --budget search-month" in shown(
        capsys, status(**unsaid, state="hard")
    )
    for quiet in ({"mode": "observe"}, {"state": "warning"}):
        assert not any("ask" in line or "grant" in line for line in shown(capsys, status(**unsaid | quiet)))


def test_a_span_that_lies_ahead_has_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    ahead = StatusPeriod(kind="span", start=NOW + timedelta(days=9), end=NOW + timedelta(days=20), time_zone="UTC")
    assert shown(capsys, status(period=ahead))[1].endswith("  not begun")

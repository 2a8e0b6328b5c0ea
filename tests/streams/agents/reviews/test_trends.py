"""Weeks of cost and outcomes: what is told, what is silent, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.control.use_cases import UseCase
from streams.agents.reviews.divergences import Divergences
from streams.agents.reviews.policy import USD, ReviewPolicy
from streams.agents.reviews.questions import UseCases, UseCaseWeeks, Week
from streams.agents.reviews.trend import WEEK_HOURS, find_trend, usable
from tests.streams.agents.reviews.months import START, page
from tests.streams.agents.samples import control

POLICY = ReviewPolicy()
CONTROL = control(UseCase(id="help", owner="Ada", contact="#help"))
Points = list[tuple[float, int]]


def weeks(points: Points, **more: Any) -> tuple[Week, ...]:
    """Dollars and outcomes of each week; calls follow the cost."""
    return tuple(
        Week(START + at * WEEK_HOURS, round(usd * 100), more.get("unpriced", 0), round(usd * USD), outcomes, 0)
        for at, (usd, outcomes) in enumerate(points)
    )


def judge(book: Divergences, points: Points) -> list[Alert]:
    """With the last nine of these weeks known."""
    until = START + len(points) * WEEK_HOURS
    known = tuple(week for week in weeks(points) if week.hour >= until - 9 * WEEK_HOURS)
    return book.judge(UseCases((UseCaseWeeks("help", known),)), until, CONTROL, until * 3_600_000_000)


def run(points: Points) -> list[Alert]:
    book = Divergences(POLICY)
    return [alert for count in range(1, len(points) + 1) for alert in judge(book, points[:count])]


FLAT: Points = [(200, 100), (210, 104), (195, 99), (205, 101)]
DIVERGING: Points = [*FLAT, (260, 103), (320, 104), (400, 101), (480, 99)]


def test_cost_that_outgrows_outcomes_is_told_once_with_both() -> None:
    alert, grown = run(DIVERGING)
    assert (grown.state, grown.alert_id) == ("updated", alert.alert_id)
    assert (alert.kind, alert.state, alert.severity) == ("value_divergence", "firing", "info")
    assert (alert.scope.use_case, alert.owner, alert.contact) == ("help", "Ada", "#help")
    assert alert.summary == (
        "Use case help costs more for each outcome than it did: $1.83 in the week of 17 August, $3.03 3 weeks later. "
        "Cost a week went from $181.01 to $316.62, outcomes from 99 to 105. Is that what is wanted?"
    )
    assert alert.summary in page()
    assert alert.expected is not None
    assert alert.unexplained_share is not None
    assert sum(cause.delta for cause in alert.explanation) == alert.observed - alert.expected
    assert sum(cause.share for cause in alert.explanation) + alert.unexplained_share == pytest.approx(1)
    assert alert.explanation[0].factor == "calls_per_outcome"
    assert "use_case = 'help'" in alert.links[0].href
    assert Alert.model_validate_json(alert.model_dump_json()) == alert


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(FLAT * 2, id="flat"),
        pytest.param([(100 * 1.2**at, round(50 * 1.2**at)) for at in range(8)], id="both grow"),
        pytest.param([(200, 100)] * 6 + [(200, 60), (200, 40)], id="outcomes fall, cost does not grow"),
        pytest.param([(200, 100)] * 7 + [(900, 100)], id="one odd week"),
        pytest.param([(usd, 19) for usd, _ in DIVERGING], id="too few outcomes"),
        pytest.param([(usd / 100, outcomes) for usd, outcomes in DIVERGING], id="too little money"),
        pytest.param(DIVERGING[-3:], id="too few weeks"),
        pytest.param([*FLAT, (210, 100), (300, 0), (400, 0)], id="outcomes stopped coming"),
    ],
)
def test_everything_else_is_silent(points: Points) -> None:
    assert run(points) == []


def test_a_gap_or_unpriced_calls_cut_the_weeks() -> None:
    found = weeks(DIVERGING)
    until = START + 8 * WEEK_HOURS
    # The first week may have begun in its middle; the one after a gap, too.
    assert usable(found, until, POLICY) == found[1:]
    assert usable(found[:5] + found[6:], until, POLICY) == found[7:]
    few = (found[0]._replace(succeeded=1), *found[1:])
    assert usable(few, until, POLICY) == found[1:]
    assert usable(found[:-1], until, POLICY) == ()
    assert usable(weeks(DIVERGING, unpriced=10_000), until, POLICY) == ()
    assert find_trend((), POLICY) is None


def test_it_is_told_again_when_it_has_doubled_and_ends_when_it_is_back() -> None:
    points = [*DIVERGING, (700, 99), (900, 100), (1_100, 100), (210, 101), (205, 100)]
    told = run(points)
    assert [alert.state for alert in told][:2] == ["firing", "updated"]
    assert told[-1].state == "resolved"
    assert told[-1].summary.startswith("It is over")
    assert [alert.revision for alert in told] == list(range(len(told)))
    assert len({alert.alert_id for alert in told}) == 1


def test_it_ends_when_there_are_too_few_outcomes_for_a_month_and_when_it_is_usual() -> None:
    silent = run([*DIVERGING, *[(480.0, 3)] * 5])
    assert [alert.state for alert in silent] == ["firing", "updated", "resolved"]
    assert "too few outcomes" in silent[-1].summary
    usual = run([*DIVERGING, *[(480.0, 100)] * 12])
    assert [alert.state for alert in usual] == ["firing", "updated", "resolved"]
    assert "the new usual" in usual[-1].summary

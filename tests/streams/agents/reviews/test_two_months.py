"""Two months of workflows, reviewed hour by hour: which alerts, exactly, and who stays silent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import RegressionQuestion, Workflow
from streams.agents.reviews.regressions import Regressions
from tests.streams.agents.reviews.months import DAY, DAYS, START, Hour, Known, Source, busy, cells, page

POLICY = ReviewPolicy()
DEPLOY = 30 * DAY + 14


def tripled(at: int) -> Sequence[Hour]:
    if at < DEPLOY:
        return [Hour(busy(at))]
    return [Hour(busy(at), input_tokens=7_000, version="v2", template="base@2")]


def creeping(at: int) -> Sequence[Hour]:
    days = max(0, at - 12 * DAY) / DAY
    return [Hour(busy(at), output_tokens=300 * 1.03**days)]


def noisy(at: int) -> Sequence[Hour]:
    return [Hour(busy(at), noise=0.5)]


def nightly(at: int) -> Sequence[Hour]:
    """Long contexts at night, and longer ones on Mondays."""
    tokens = 8_000 if at % DAY < 6 else 2_000
    return [Hour(busy(at), input_tokens=tokens * (2 if at // DAY % 7 == 0 else 1))]


def new(at: int) -> Sequence[Hour]:
    return [Hour(busy(at), input_tokens=20_000)] if at >= 40 * DAY else []


def retired(at: int) -> Sequence[Hour]:
    return [Hour(busy(at))] if at < 35 * DAY else []


def cheap(at: int) -> Sequence[Hour]:
    """It triples as well, but that costs nothing worth a word."""
    return [Hour(busy(at, 0.4 * 40), input_tokens=90 if at >= DEPLOY else 30, output_tokens=5)]


def shared(at: int) -> Sequence[Hour]:
    dear = 0.1 if at < 45 * DAY else 0.9
    return [
        Hour(busy(at) * (1 - dear), version="small-1"),
        Hour(busy(at) * dear, version="large-1", model="opus"),
    ]


def rolled_back(at: int) -> Sequence[Hour]:
    is_out = 20 * DAY + 9 <= at < 22 * DAY + 9
    return [
        Hour(busy(at), cached=0.0, input_tokens=9_000) if is_out else Hour(busy(at), cached=0.9, input_tokens=9_000)
    ]


def more_calls(at: int) -> Sequence[Hour]:
    return [Hour(busy(at) * (4 if at >= 33 * DAY else 1))]


def cheaper(at: int) -> Sequence[Hour]:
    return [Hour(busy(at), input_tokens=1_000 if at >= 33 * DAY else 6_000)]


SHAPES = {
    Workflow("support", "triage"): tripled,
    Workflow("research", "digest"): creeping,
    Workflow("sales", "leads"): noisy,
    Workflow("data", "nightly"): nightly,
    Workflow("growth", "launch"): new,
    Workflow("legacy", "letters"): retired,
    Workflow("ops", "tiny"): cheap,
    Workflow("search", "answers"): shared,
    Workflow("docs", "rewrite"): rolled_back,
    Workflow("web", "chat"): more_calls,
    Workflow("hr", "cv"): cheaper,
}


def review(source: Source) -> list[Alert]:
    """Every noon, and every hour after the deploy."""
    book = Regressions(POLICY)
    told: list[Alert] = []
    for at in sorted({*range(12, DAYS * DAY, 24), *range(DEPLOY, DEPLOY + 10)}):
        hour = START + at
        question = RegressionQuestion(0, hour, {}, book.running, POLICY.ratio, POLICY.least_calls, POLICY.least_extra)
        told += book.judge(source.answer(question), hour, ControlSnapshot(), hour * 3_600_000_000)
    return told


@pytest.fixture(scope="module")
def told() -> list[Alert]:
    source = Source({name: Known(cells(shape, seed)) for seed, (name, shape) in enumerate(SHAPES.items())})
    return review(source)


def of(told: Sequence[Alert], workflow: str) -> list[Alert]:
    return [alert for alert in told if alert.scope.workflow == workflow]


def hours_after(alert: Alert, at: int) -> float:
    """From the start of what happened to the hour it was told, event time."""
    return alert.evaluated_at.timestamp() / 3_600 - (START + at)


def test_a_deploy_that_triples_the_tokens_is_told_with_its_version_within_seven_hours(told: list[Alert]) -> None:
    fired, *later = of(told, "triage")
    assert [alert.state for alert in later] == ["resolved"]
    assert (fired.state, fired.revision, fired.severity, fired.unit) == ("firing", 0, "warning", "nanousd")
    assert fired.window.start.isoformat() == "2026-09-02T14:00:00+00:00"
    assert 6 <= hours_after(fired, DEPLOY) <= 7
    assert fired.summary == (
        "1,000 calls of workflow triage of team support cost $16.35 since version v2 of 2 September 14:00 UTC with "
        "prompt template base@2, before $7.82 (2.1 times): input tokens per call 2,006 to 7,132. At today's 14,649 "
        "calls a month that is $124.96 a month more."
    )
    assert fired.summary in page()
    assert fired.incident == "prompt_bloat"
    assert fired.confidence == "high"
    assert fired.explanation[0].factor == "input_per_call"
    assert fired.explanation[0].share > 0.9
    assert [cause.factor for cause in fired.carried_by] == ["v2"]
    # Two weeks later it is the usual.
    assert later[0].summary.startswith("It has been so for two weeks")
    assert 14 <= hours_after(later[0], DEPLOY) / 24 <= 15.1


def test_a_slow_drift_is_told_as_one(told: list[Alert]) -> None:
    fired = of(told, "digest")[0]
    assert "after creeping up since" in fired.summary
    assert fired.incident == "output_growth"
    assert fired.state == "firing"
    assert {alert.alert_id for alert in of(told, "digest")} == {fired.alert_id}


def test_calls_that_move_between_versions_are_told_apart_from_a_version_that_changed(told: list[Alert]) -> None:
    fired = of(told, "answers")[0]
    assert "because calls moved to version large-1 (10% to " in fired.summary
    assert "which costs what it always did" in fired.summary
    assert fired.incident == "model_switch"


def test_what_is_rolled_back_is_over_the_next_day(told: list[Alert]) -> None:
    fired, resolved = of(told, "rewrite")
    assert (fired.state, fired.incident, resolved.state) == ("firing", "cache_collapse", "resolved")
    assert resolved.summary.startswith("It is over: 1,000 calls of workflow rewrite of team docs cost $9.")
    assert hours_after(resolved, 22 * DAY + 9) <= 36


def test_everybody_else_is_silent(told: list[Alert]) -> None:
    assert {alert.scope.workflow for alert in told} == {"triage", "digest", "answers", "rewrite"}
    assert sum(alert.state == "firing" for alert in told) == 4


def test_causes_and_carriers_add_up(told: list[Alert]) -> None:
    for alert in told:
        assert Alert.model_validate_json(alert.model_dump_json()) == alert
        if alert.explanation:
            assert alert.unexplained_share is not None
            assert alert.expected is not None
            assert sum(cause.share for cause in alert.explanation) + alert.unexplained_share == pytest.approx(1)
            assert sum(cause.delta for cause in alert.explanation) == alert.observed - alert.expected
            assert sum(cause.share for cause in alert.carried_by) + (alert.uncarried_share or 0) == pytest.approx(1)
            (link,) = alert.links
            assert f"workflow = '{alert.scope.workflow}'" in link.href

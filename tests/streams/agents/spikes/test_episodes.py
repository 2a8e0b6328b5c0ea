"""Whose a rise is, when it is told before its bucket is over, and what people and plans make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.alerts import Alert, Said
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from schemas.control.feedback import AlertFeedback
from streams.agents.spikes.baseline import TEAM
from streams.agents.spikes.buckets import BUCKET_US
from streams.agents.spikes.ring import RUNNING
from tests.streams.agents.samples import control
from tests.streams.agents.spikes.flat_use import FlatUse, states

#: Two thirds of a team's calls are of one use case.
TEAM_USE = {"search/help": 20, "search/index": 10}
DAYS = 30 * 12


def learnt(usual: dict[str, int] | None = None) -> FlatUse:
    use = FlatUse(usual or TEAM_USE)
    assert use.go(DAYS) == []
    return use


def test_a_series_takes_a_kibibyte() -> None:
    assert TEAM.itemsize <= 1_024
    assert RUNNING.itemsize <= 640


def test_what_one_use_case_carries_is_told_of_the_use_case_alone() -> None:
    use = learnt()
    told = use.go(24, {"search/help": 90})
    assert {alert.scope.use_case for alert in told} == {"help"}
    assert [alert.revision for alert in told] == list(range(len(told)))
    assert states(use.go(14))[-1] == ("search", "help", "resolved")


def test_what_all_use_cases_carry_is_told_of_the_team_alone() -> None:
    use = learnt()
    told = use.go(24, {"search/help": 60, "search/index": 40})
    assert {alert.scope.use_case for alert in told} == {None}
    assert len({alert.alert_id for alert in told}) == 1


def test_while_a_use_case_rises_its_team_is_judged_by_the_rest() -> None:
    use = learnt()
    use.go(12, {"search/help": 90})
    told = use.go(12, {"search/help": 90, "search/index": 80})
    assert "index" in {alert.scope.use_case for alert in told} or None in {alert.scope.use_case for alert in told}
    firing = [alert for alert in use.told if alert.state == "firing"]
    assert len(firing) == 2


def test_a_runaway_is_told_before_its_bucket_is_over_and_then_exactly() -> None:
    use = learnt()
    use.offer(TEAM_USE)
    use.offer({"search/help": 200})
    (early,) = use.settle()
    assert (early.state, early.revision, early.scope.use_case) == ("firing", 0, "help")
    use.offer({"search/help": 100})
    use.bucket += 1
    (exact,) = use.settle()
    assert (exact.state, exact.revision, exact.alert_id) == ("updated", 1, early.alert_id)
    assert exact.observed == 320 * 20_000_000 > early.observed


def test_a_runaway_is_told_while_the_bucket_before_is_open() -> None:
    use = learnt()
    use.offer(TEAM_USE)
    use.offer({"search/help": 300}, ahead=1)
    (early,) = use.settle()
    assert early.window.start.timestamp() * 1_000_000 == (use.bucket + 1) * BUCKET_US
    use.bucket += 1
    assert use.settle() == []


def test_early_or_at_the_close_the_same_alerts_are_told() -> None:
    quick, slow = learnt(), learnt()
    for ahead in (False, True):
        use = quick if ahead else slow
        for _ in range(4):
            if ahead:
                use.offer({"search/help": 150})
                use.settle()
                use.offer({**TEAM_USE, "search/help": 170})
            else:
                use.offer({**TEAM_USE, "search/help": 320})
            use.bucket += 1
            use.settle()
        use.go(14)
    assert [figures(alert) for alert in quick.told[1:]] == [figures(alert) for alert in slow.told[1:]]
    assert quick.told[0].alert_id == slow.told[0].alert_id
    assert states(quick.told) == states(slow.told)


@pytest.mark.parametrize("phase", [0, 3, 5])
def test_of_two_open_buckets_in_a_row_either_may_be_plain_first(phase: int) -> None:
    """`phase`: how far into a half hour the rise begins."""
    later_first, in_order = learnt(), learnt()
    for use in (later_first, in_order):
        use.go(phase)
    for use, order in ((later_first, (1, 0)), (in_order, (0, 1))):
        for ahead in order:
            use.offer({**TEAM_USE, "search/help": 320}, ahead=ahead)
            use.settle()
        for _ in range(2):
            use.bucket += 1
            use.settle()
        assert use.told[0].revision == 0
        use.go(14)
    assert [figures(alert) for alert in later_first.told[1:]] == [figures(alert) for alert in in_order.told[1:]]
    assert later_first.told[0].alert_id == in_order.told[0].alert_id
    assert states(later_first.told) == states(in_order.told)
    assert later_first.told[1].window.start == in_order.told[0].window.start


def figures(alert: Alert) -> dict[str, object]:
    return alert.model_dump(exclude={"evaluated_at"})


def test_a_restart_changes_nothing() -> None:
    use = learnt()
    use.go(3, {"search/help": 90})
    other = use.reopened()
    told = use.go(6, {"search/help": 200}) + use.go(14)
    again = other.go(6, {"search/help": 200}) + other.go(14)
    assert told
    assert [figures(alert) for alert in again] == [figures(alert) for alert in told]


def test_who_wakes_at_the_old_usual_is_quiet_who_wakes_far_above_is_not() -> None:
    use = learnt()
    use.usual = {}
    assert [alert for alert in use.go(3 * 288) if alert.state == "firing"] == []
    assert use.go(12, TEAM_USE) == []
    use.go(288)
    assert [alert.state for alert in use.go(6, {"search/help": 200})][:1] == ["firing"]


def test_what_lasts_a_day_is_the_new_usual_of_team_and_use_case() -> None:
    use = learnt()
    told = use.go(2 * 288, {"search/help": 90})
    assert [alert.state for alert in told].count("firing") == 1
    assert told[-1].state == "resolved"
    use.usual = {**TEAM_USE, "search/help": 90}
    assert use.go(288) == []


def said(use: FlatUse, alert: Alert, what: Said) -> None:
    now = datetime(2026, 10, 7, tzinfo=UTC)
    use.control = control(AlertFeedback(id=alert.alert_id, said=what, by="ada", at=now))


@pytest.mark.parametrize("what", ["expected", "noise"])
def test_what_is_known_is_resolved_at_once_and_quiet_until_calm(what: Said) -> None:
    use = learnt()
    firing = use.go(6, {"search/help": 90})[0]
    said(use, firing, what)
    (resolved,) = use.go(1, {"search/help": 90})
    assert (resolved.state, resolved.said, resolved.alert_id) == ("resolved", what, firing.alert_id)
    assert use.go(24, {"search/help": 150}) == []
    assert use.go(16) == []
    if what == "noise":
        assert use.go(6, {"search/help": 90}) == []
    else:
        assert use.go(6, {"search/help": 300})[0].state == "firing"


def test_an_acknowledged_rise_goes_on_without_further_updates() -> None:
    use = learnt()
    firing = use.go(6, {"search/help": 90})[0]
    said(use, firing, "acknowledged")
    (updated,) = use.go(1, {"search/help": 90})
    assert (updated.state, updated.said) == ("updated", "acknowledged")
    assert use.go(24, {"search/help": 90}) == []
    assert [alert.state for alert in use.go(14)] == ["resolved"]


def test_planned_work_is_told_without_a_page_teaches_nothing_and_ends_with_its_plan() -> None:
    use = learnt()
    begins = datetime.fromtimestamp(use.bucket * 300, UTC)
    plan = PlannedActivity(
        id="load-test",
        scope=Scope(team="search", use_case="help"),
        what="Load test",
        owner="Ada",
        starts_at=begins,
        ends_at=begins + timedelta(hours=2),
    )
    use.control = control(plan)
    told = use.go(24, {"search/help": 90})
    assert {(alert.severity, alert.activity, alert.pages) for alert in told} == {("info", "load-test", False)}
    after = use.go(4, {"search/help": 90})
    assert [(alert.state, alert.activity) for alert in after[:2]] == [("resolved", "load-test"), ("firing", None)]

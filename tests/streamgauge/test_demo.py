"""The demo's judgement: which alert belongs to which incident, and which figure does not hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.alerts import Alert, AlertScope, AlertWindow, Cause
from schemas.control.snapshot import ControlSnapshot
from sources.fleet import Expected, Incident
from streamgauge.demo.lookout import PATIENCE_S, Lookout
from streamgauge.demo.matching import match_alerts
from streamgauge.demo.report import MAX_UNPLANTED, Report
from streamgauge.demo.telling import tell
from streamgauge.demo.view import PlainView, counts_line
from streamgauge.demo.watcher import Seen
from streams.agents.spikes.explain.known import Known
from streams.agents.spikes.texts import spike_alert
from tests.streams.agents.spikes.findings import finding, usage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPIKE = Incident("loop", "search", "spike", NOON, NOON + 240 * MINUTE, NOON, "it loops", looks=("runaway_loop",))
PLANNED = replace(SPIKE, name="test", looks=("planned_activity",), activity="launch")
CROSSING = Incident(
    "crossing", "support", "budget", NOON, NOON + 60 * MINUTE, NOON, "it crosses", budget_id="support-day"
)
EXPECTED = Expected(100, 90, 6, 4, (("empty", 4),), 0, 0, 0, 0, 0, 0, 0)
SEEN = Seen(read=100, enriched=90, duplicates=6, rejected=4)


def alert(name: str, **more: object) -> Alert:
    fields: dict[str, object] = {
        "alert_id": name,
        "revision": 0,
        "kind": "spike",
        "state": "firing",
        "severity": "critical",
        "historical": False,
        "scope": AlertScope(team="search"),
        "window": AlertWindow(start=NOON, end=NOON),
        "unit": "nanousd",
        "observed": 1,
        "summary": f"summary of {name}",
        "suggested_action": "look",
        "occurred_at": NOON,
        "evaluated_at": NOON,
        "incident": "runaway_loop",
    }
    return Alert.model_validate(fields | more)


@pytest.mark.parametrize("minutes", [-30, 0, 30])
def test_an_alert_within_half_an_hour_is_the_incidents(minutes: int) -> None:
    found = match_alerts([SPIKE], [alert("a", occurred_at=NOON + minutes * MINUTE)])
    assert [one.alert.alert_id if one.alert else None for one in found.incidents] == ["a"]
    assert found.unplanted == ()


@pytest.mark.parametrize(
    "more",
    [
        {"occurred_at": NOON + 31 * MINUTE},
        {"occurred_at": NOON - 31 * MINUTE},
        {"scope": AlertScope(team="support")},
        {"kind": "forecast"},
    ],
)
def test_another_team_kind_or_time_is_another_matter(more: dict[str, object]) -> None:
    found = match_alerts([SPIKE], [alert("a", **more)])
    assert found.missed == (SPIKE,)
    assert [one.alert_id for one in found.unplanted] == ["a"]


def test_a_budget_incident_is_about_its_budget() -> None:
    other = alert("other", kind="budget", scope=AlertScope(team="support"), budget_id="support-month")
    own = alert("own", kind="budget", scope=AlertScope(team="support"), budget_id="support-day")
    [matched] = match_alerts([CROSSING], [other, own]).incidents
    assert matched.alert == own
    assert match_alerts([CROSSING], [other]).missed == (CROSSING,)


def test_of_several_the_page_and_then_the_nearest_is_named() -> None:
    warning = alert("warning", severity="warning")
    far, near = alert("far", occurred_at=NOON - 20 * MINUTE), alert("near", occurred_at=NOON + 5 * MINUTE)
    [matched] = match_alerts([SPIKE], [warning, far, near]).incidents
    assert matched.alert == near


def test_one_alert_does_not_catch_two_incidents() -> None:
    again = replace(SPIKE, name="again", expected_at=NOON + 10 * MINUTE)
    assert match_alerts([SPIKE, again], [alert("a")]).missed == (again,)


@pytest.mark.parametrize(
    "more", [{"severity": "warning"}, {"historical": True}, {"state": "resolved"}, {"state": "updated"}]
)
def test_what_wakes_nobody_is_no_false_page(more: dict[str, object]) -> None:
    elsewhere = alert("a", scope=AlertScope(team="elsewhere"), **more)
    assert match_alerts([SPIKE], [elsewhere]).unplanted == ()


def report(sent: int = 100, seen: Seen = SEEN, rows: int = 90, alerts: tuple[Alert, ...] = (alert("a"),)) -> Report:
    return Report(1, sent, replace(seen, alerts=alerts), rows, EXPECTED, match_alerts([SPIKE], alerts), (), 60.0)


def fault(incident: Incident, *alerts: Alert) -> str | None:
    [matched] = match_alerts([incident], alerts).incidents
    return matched.fault


def test_what_counts_is_the_newest_name_while_it_went_on() -> None:
    first = alert("a", incident="volume")
    second = alert("a", revision=1, state="updated", summary="better known")
    over = alert("a", revision=2, state="resolved", incident="unknown")
    assert fault(SPIKE, first) == "is named volume by its alert, not runaway_loop: summary of a"
    assert fault(SPIKE, first, second, over) is None
    [matched] = match_alerts([SPIKE], [over, second, first]).incidents
    assert matched.told == second
    assert fault(replace(SPIKE, looks=("retry_storm", "volume")), first) is None
    assert fault(replace(SPIKE, looks=()), first) is None


def test_what_is_planned_wakes_nobody_and_is_named() -> None:
    planned = {"incident": "planned_activity", "activity": "launch"}
    assert fault(PLANNED, alert("a", severity="info", **planned)) is None
    assert fault(PLANNED, alert("a", **planned)) == "wakes somebody, though it is planned as launch"
    other = alert("a", severity="info", incident="planned_activity", activity="another")
    assert fault(PLANNED, other) == "is told under another, not launch"
    assert fault(SPIKE, alert("a", activity="launch")) == "is told under launch, not no planned activity"
    assert fault(SPIKE) == "has no alert"


def test_time_stands_still_for_an_answer_but_not_for_ever() -> None:
    lookout, hour = Lookout([SPIKE, CROSSING]), 60 * MINUTE
    inside = (NOON + hour, NOON + 2 * hour)
    pending = alert("a", summary="It rises. Single calls are being looked into.")
    assert lookout.awaited(*inside, []) == lookout.awaited(*inside, [pending]) == SPIKE
    found = alert("a", revision=1, state="updated", summary="One session carries it.")
    assert lookout.awaited(*inside, [pending, found]) is None
    # Its first hour is not yet told of, in its last it may be over before an answer.
    assert lookout.awaited(NOON - MINUTE, NOON + hour, []) is None
    assert lookout.awaited(NOON + 3 * hour, NOON + 4 * hour, []) is None
    lookout.waited(SPIKE, PATIENCE_S)
    assert lookout.awaited(*inside, []) is None


def test_alerts_that_are_looked_into_say_so() -> None:
    """`Lookout` knows them by it."""
    rise = finding(usage(100), usage(900))
    told = spike_alert(rise, ControlSnapshot(), 0, Known("asked"))
    assert Lookout([at(told)]).awaited(*middle(told), [told]) is not None
    told = spike_alert(rise, ControlSnapshot(), 0, Known("away"))
    assert Lookout([at(told)]).awaited(*middle(told), [told]) is None


def at(told: Alert) -> Incident:
    since = told.occurred_at
    return replace(SPIKE, team=told.scope.team or "", starts_at=since, ends_at=since + 240 * MINUTE, expected_at=since)


def middle(told: Alert) -> tuple[datetime, datetime]:
    return told.occurred_at + 60 * MINUTE, told.occurred_at + 120 * MINUTE


def test_a_right_demo_has_no_failures() -> None:
    told = report().as_json()
    assert (told["ok"], told["failures"]) == (True, [])
    assert told["events_sent"] == told["enriched"] + told["duplicates"] + told["rejected"]
    assert told["clickhouse_rows"] == told["enriched"]
    assert told["incidents"][0]["alert"] == "a"
    assert told["incidents"][0]["alert_incident"] == told["incidents"][0]["looks"][0] == "runaway_loop"
    assert told["incidents"][0]["fault"] is None
    assert {"budgets", "alerts", "incidents"} <= told.keys()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (report(sent=101), "events_sent 101 is not enriched 90 + duplicates 6 + rejected 4 = 100"),
        (report(rows=89), "clickhouse_rows 89 is not enriched 90"),
        (report(seen=replace(SEEN, duplicates=7, rejected=3)), "duplicates 7 is not the 6 that were planted"),
        (report(alerts=()), "incident loop of team search at 2026-11-20 12:00 has no alert"),
        (
            report(alerts=(alert("a", incident="volume"),)),
            "at 2026-11-20 12:00 is named volume by its alert, not runaway_loop: summary of a",
        ),
    ],
)
def test_a_figure_that_does_not_hold_is_named(wrong: Report, sentence: str) -> None:
    assert any(sentence in failure for failure in wrong.failures())
    assert not wrong.as_json()["ok"]


def test_two_false_pages_are_borne_and_three_are_not() -> None:
    false = tuple(alert(f"false-{place}", scope=AlertScope(team=f"team-{place}")) for place in range(MAX_UNPLANTED + 1))
    assert report(alerts=(alert("a"), *false[:-1])).failures() == []
    [failure] = report(alerts=(alert("a"), *false)).failures()
    assert "3 pages match no incident" in failure
    assert "summary of false-2" in failure


def test_the_plain_view_tells_each_alert_once(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.step("sending")
        view.sent(1, 100, SEEN)
        view.sent(2, 100, replace(SEEN, alerts=(alert("a"),)))
        view.sent(3, 100, replace(SEEN, alerts=(alert("a"), alert("b", severity="info"))))
    told = capsys.readouterr().out
    assert told.count("summary of a") == 1
    assert "summary of b" not in told
    assert counts_line(1, 100, SEEN) in told
    assert "\x1b" not in told


def test_people_see_the_name_the_cause_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    calls = Cause(factor="calls", label="9.2 times as many calls as usual", delta=1, share=1.0)
    client = Cause(factor="cli", dimension="client", label="97% in client cli", delta=1, share=0.97)
    spike = alert("spike-0123456789", explanation=(calls,), carried_by=(client,), behind="one of 14 users")
    tell(report(alerts=(spike,)))
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "runaway loop",
        "9.2 times as many",
        "97% in client cli",
        "alerts show spike-01234567",
        "expected ID",
    ):
        assert words in told
    assert "What was told" not in told

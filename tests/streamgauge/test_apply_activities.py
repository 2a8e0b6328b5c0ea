"""Planned activities in force: what they cover, what is worth a word, and that nobody's files touch feedback."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.clock import to_datetime
from schemas.control.feedback import AlertFeedback
from schemas.control.records import record_key
from schemas.control.snapshot import ControlSnapshot
from streamgauge.apply.activities import activity_notes, quieted
from tests.streamgauge.alerts.samples import of_kind, resolved, spike
from tests.streamgauge.applying import NOW_US, Files
from tests.streamgauge.test_apply_refusals import ACTIVITY, HOUSE

WIDE = ACTIVITY.replace("2026-11-20T22:00Z", "2026-11-20").replace("2026-11-21T18:00Z", "2026-11-21")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.write("house.yaml", HOUSE)
    return files


def told(files: Files) -> list[str]:
    """Which of a spike of search/answers, one of the whole team, a budget's alert and an old one would be quieted."""
    plan = files.plan()
    team = spike(2, scope={"team": "search"})
    alerts = [spike(1), team, of_kind("budget"), resolved(3), spike(4, historical=True)]
    return [sentence.split(" ")[4] for sentence in quieted(plan, alerts, plan.applied_to(ControlSnapshot()), NOW_US)]


@pytest.mark.parametrize(
    ("scope", "numbers"),
    [
        ("{team: search}", [1, 2]),
        ("{use_case: answers}", [1]),
        ("{department: product}", [1, 2]),
        ("{department: consumer}", []),
        ("{}", [1, 2]),
    ],
)
def test_a_running_activity_covers_its_scope(files: Files, scope: str, numbers: list[int]) -> None:
    files.write("f.yaml", WIDE.format(scope=scope))
    assert told(files) == [spike(number).alert_id for number in numbers]


def test_one_that_is_to_come_covers_nothing_yet(files: Files) -> None:
    files.write("f.yaml", ACTIVITY.format(scope="{team: search}"))
    assert to_datetime(NOW_US) == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert told(files) == []


def test_a_department_is_filled_in_with_those_below_it(files: Files) -> None:
    files.write("f.yaml", WIDE.format(scope="{department: product}"))
    assert files.snapshot().activities["load-test"].scope.within == ("product", "consumer")


def test_what_is_worth_a_word(files: Files) -> None:
    files.write("f.yaml", ACTIVITY.format(scope="{}"))
    assert list(activity_notes(files.plan(), NOW_US)) == [
        "activity load-test names no department, team or use case: it covers every spike"
    ]
    later_us = NOW_US + 10 * 86_400_000_000
    [note] = activity_notes(files.plan(), later_us)
    assert note.startswith("activity load-test ended at 2026-11-21T18:00:00+00:00")
    assert list(activity_notes(files.plan(files.snapshot()), later_us)) == [], "told once, when it is applied"


def test_pruning_leaves_what_people_said(files: Files) -> None:
    files.write("f.yaml", ACTIVITY.format(scope="{team: search}"))
    said = AlertFeedback(id="spike-1", said="noise", by="ada", at=datetime(2026, 11, 20, tzinfo=UTC))
    current = files.snapshot()
    current = ControlSnapshot(9, {**current.records, record_key(said): said})
    files.write("f.yaml", ACTIVITY.format(scope="{team: search}").replace("load-test", "another"))
    plan = files.plan(current, prune=True)
    assert [(change.action, change.key) for change in plan.changes] == [
        ("delete", "activity/load-test"),
        ("create", "activity/another"),
    ]
    assert plan.applied_to(current).feedback == {"spike-1": said}

"""What Alertmanager is told of one state."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.alerts import Link
from streamgauge.forwarding.labels import annotations_of, as_posted, labels_of
from tests.streamgauge.alerts.samples import NOON, of_kind, resolved, spike

KEEP = timedelta(hours=1)
LATER = NOON + timedelta(hours=2)


def test_labels_say_what_it_is() -> None:
    assert dict(labels_of(spike())) == {
        "alertname": "StreamgaugeSpike",
        "kind": "spike",
        "team": "search",
        "use_case": "answers",
        "severity": "critical",
        "incident": "runaway_loop",
        "alert_id": spike().alert_id,
    }
    assert labels_of(of_kind("workflow_regression"))["alertname"] == "StreamgaugeWorkflowRegression"
    assert "incident" not in labels_of(of_kind("budget"))


def test_annotations_are_for_people() -> None:
    told = annotations_of(spike(revision=1))
    assert told["impact"] == "$20.00 extra so far, $890.00 a day if it goes on"
    assert told["action"] == "Stop the workflow."
    assert told["description"].splitlines() == [
        "90% more calls (x3.5)",
        "0.4% fewer cache hits",
        "10% not explained",
        "By workflow: nightly | v2 80%, all others 20%",
        "By model: gpt-4o 100%",
        "Behind it: one of 14 users",
    ]
    assert told["query"].startswith("SELECT workflow")
    assert "runbook" not in told


def test_what_goes_on_ends_later_and_what_is_over_ended_when_that_was_told() -> None:
    firing = as_posted(spike(), labels_of(spike()), LATER, KEEP)
    assert firing["startsAt"] == "2026-11-20T12:00:00.000000Z"
    assert firing["endsAt"] == "2026-11-20T15:00:00.000000Z"
    over = as_posted(resolved(), labels_of(spike()), LATER, KEEP)
    assert over["endsAt"] == "2026-11-20T12:05:40.000000Z"
    assert over["labels"] == firing["labels"]


def test_clocks_that_differ_neither_begin_nor_end_anything_in_the_future() -> None:
    behind = NOON - timedelta(minutes=1)
    for alert in (resolved(), resolved(occurred_at=NOON + timedelta(days=1))):
        told = as_posted(alert, labels_of(alert), behind, KEEP)
        start, end = (datetime.fromisoformat(told[name]) for name in ("startsAt", "endsAt"))
        assert start <= end <= behind


def test_the_source_link_is_an_address_or_nothing() -> None:
    assert "generatorURL" not in as_posted(spike(), {}, LATER, KEEP)
    assert as_posted(spike(), {}, LATER, KEEP, "https://g/d")["generatorURL"] == "https://g/d"
    own = spike(links=(Link(rel="dashboard", href="https://g/own"),))
    assert as_posted(own, {}, LATER, KEEP, "https://g/d")["generatorURL"] == "https://g/own"
    wrong = spike(links=(Link(rel="dashboard", href="javascript:x"),))
    assert "generatorURL" not in as_posted(wrong, {}, LATER, KEEP)

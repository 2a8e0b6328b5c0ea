"""Who sends is told when its events are refused, and missed when it stops; nobody else is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from runtime.clock import to_datetime
from schemas.alerts import Alert
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.snapshot import ControlSnapshot
from schemas.positions import Mark, SourceRange
from schemas.rejections import RejectionCode
from streams.agents.config import AgentsConfig
from streams.agents.ingest.advice import ADVICE
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.state_records import read_checkpoints
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import control, table, us

MINUTE = 60_000_000
NOON = us("2026-11-10T12:00:00+00:00")
HOUR, DAY = 60, 1_440
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False), snapshot_deltas=3)


class Log:
    """One tally partition, minute by minute."""

    def __init__(self) -> None:
        self.messages: list[TallyMessage] = []
        self._position = 0

    def minute(self, minute: int, sent: dict[str, dict[str | None, int]], late: int = 0) -> None:
        """What each source sent in a minute, by rejection code; an empty minute is a heartbeat. Enrich told it `late`
        minutes after that.
        """
        now = NOON + minute * MINUTE
        rows = [
            {"source": name, "rejection_code": code, "minute": now // MINUTE, "calls": events}
            for name, codes in sent.items()
            for code, events in codes.items()
        ]
        first = self._position
        self._position += 10 if rows else 0
        mark = Mark("range" if rows else "idle", None, None, now if rows else None, 1, now + late * MINUTE + 1_000)
        place = SourceRange(0, first, self._position)
        self.messages.append(TallyMessage(len(self.messages), place, mark, table(rows) if rows else None))

    def span(self, first: int, until: int, sent: dict[str, dict[str | None, int]], every: int = 1) -> None:
        for minute in range(first, until):
            self.minute(minute, sent if minute % every == 0 else {})


def told(log: Log, snapshot: ControlSnapshot | None = None, each: int = 97, crash: bool = False) -> list[Alert]:
    """Alerts of a shard that settles after `each` messages; `crash`: begun anew from its records every time."""
    alerts: list[Alert] = []
    shard, records = Shard(0, Counts(1, 1), CONFIG), dict[str, bytes]()
    for start in range(0, len(log.messages), each):
        if crash and records:
            shard = Shard(0, Counts(1, 1), CONFIG)
            shard.restore(read_checkpoints(records))
        for message in log.messages[start : start + each]:
            assert shard.offer(message) == "applied"
        settlement = shard.settle(NOON, snapshot or ControlSnapshot(), force=True)
        for key, value in settlement.records if settlement is not None else ():
            if value is None:
                records.pop(key, None)
            else:
                records[key] = value
        alerts += settlement.alerts if settlement is not None else ()
    return alerts


def brief(alerts: Sequence[Alert]) -> list[tuple[Any, ...]]:
    return [(alert.kind, alert.scope.source, alert.state, alert.revision) for alert in alerts]


def at(alert: Alert) -> int:
    """Minutes after noon of the alert's moment."""
    return int((alert.occurred_at - to_datetime(NOON)).total_seconds()) // 60


def test_refused_events_are_told_to_their_sender_and_their_end_too() -> None:
    log = Log()
    log.span(0, 3 * HOUR, {"billing": {None: 50, "bad_type": 1}, "search": {None: 50}})
    log.span(3 * HOUR, 4 * HOUR, {"billing": {None: 20, "bad_json": 25, "too_long": 5}, "search": {None: 50}})
    log.span(4 * HOUR, 5 * HOUR, {"billing": {None: 50, "bad_type": 1}, "search": {None: 50}})
    team = Team(id="finance", terms=(TeamTerm(owner="Ada", contact="#billing"),))
    sender = Sender(sender="source", id="billing", terms=(Membership(team="finance"),))
    alerts = told(log, control(team, sender))
    assert brief(alerts) == [
        ("ingest_quality", "billing", "firing", 0),
        ("ingest_quality", "billing", "updated", 1),
        ("ingest_quality", "billing", "resolved", 2),
    ]
    first = alerts[0]
    assert 3 * HOUR - 5 <= at(first) <= 3 * HOUR
    assert (first.owner, first.contact, first.scope.team) == ("Ada", "#billing", "finance")
    assert [cause.factor for cause in first.explanation][:2] == ["bad_json", "too_long"]
    assert sum(cause.share for cause in first.explanation) == pytest.approx(1.0)
    assert "JSON" in first.suggested_action
    assert "FROM usage_rejected" in first.links[0].href
    assert "'billing'" in first.links[0].href
    assert alerts[2].observed > 1_500


def test_a_new_source_that_sends_nothing_right_is_told_at_once_and_a_slow_one_in_time() -> None:
    log = Log()
    log.span(0, 20, {"new": {"unknown_framing": 1}})
    log.span(20, 13 * HOUR, {"slow": {"missing_field": 1}}, every=HOUR)
    firing = [alert for alert in told(log) if alert.state == "firing"]
    assert [alert.scope.source for alert in firing] == ["new", "slow"]
    assert all(alert.severity == "critical" for alert in firing)


def test_what_is_usually_refused_is_no_news() -> None:
    log = Log()
    log.span(0, 6 * HOUR, {"gateway": {None: 97, "tag_not_allowed": 3}})
    log.span(6 * HOUR, 7 * HOUR, {"gateway": {None: 95, "tag_not_allowed": 5}})
    alerts = told(log)
    assert brief(alerts)[:1] == [("ingest_quality", "gateway", "firing", 0)]
    assert len(alerts) <= 2, "3% is told once, when it is new"


def test_a_source_that_always_spoke_is_missed_and_greeted() -> None:
    log = Log()
    log.span(0, 25 * HOUR, {"billing": {None: 5}, "search": {None: 9}}, every=4)
    log.span(25 * HOUR, 27 * HOUR, {"search": {None: 9}}, every=4)
    log.span(27 * HOUR, 28 * HOUR, {"billing": {None: 5}, "search": {None: 9}}, every=4)
    alerts = told(log)
    assert brief(alerts) == [("source_silent", "billing", "firing", 0), ("source_silent", "billing", "resolved", 1)]
    assert at(alerts[0]) == 25 * HOUR - 4
    assert alerts[0].window.end - alerts[0].window.start == alerts[0].occurred_at - alerts[0].occurred_at.replace(
        minute=alerts[0].occurred_at.minute - 30
    )
    assert alerts[0].alert_id == alerts[1].alert_id
    assert "longest pause" in alerts[0].summary


def test_the_silence_of_all_is_noticed_by_heartbeats() -> None:
    log = Log()
    log.span(0, 25 * HOUR, {"billing": {None: 5}, "search": {None: 9}}, every=4)
    log.span(25 * HOUR, 26 * HOUR, {})
    assert [alert.scope.source for alert in told(log)] == ["billing", "search"]


def test_a_stopped_enrich_is_not_taken_for_silent_sources() -> None:
    log = Log()
    log.span(0, 25 * HOUR, {"billing": {None: 5}}, every=4)
    # Enrich was away for ten hours: what was sent meanwhile comes at once.
    for minute in range(25 * HOUR, 35 * HOUR, 4):
        log.minute(minute, {"billing": {None: 5}}, late=35 * HOUR - minute)
    log.span(35 * HOUR, 36 * HOUR, {"billing": {None: 5}}, every=4)
    assert told(log) == []


def test_laptops_pods_and_office_hours_are_not_missed() -> None:
    log = Log()
    for day in range(4):
        start = day * DAY
        log.span(start, start + 8 * HOUR, {"laptop": {None: 3}, f"job-{day}": {None: 2}}, every=5)
        log.span(start + 8 * HOUR, start + DAY, {f"job-{day}": {None: 2}}, every=5)
    log.span(4 * DAY, 6 * DAY, {"checkout-7d9fbc9c4d-x2xzq": {None: 5}}, every=5)
    log.span(6 * DAY, 7 * DAY, {})
    assert [alert.scope.source for alert in told(log, each=500)] == []


def test_who_is_gone_for_good_is_let_go() -> None:
    log = Log()
    log.span(0, 25 * HOUR, {"billing": {None: 5}}, every=4)
    log.span(25 * HOUR, 9 * DAY, {})
    alerts = told(log, each=1_000)
    assert brief(alerts) == [("source_silent", "billing", "firing", 0), ("source_silent", "billing", "resolved", 1)]
    assert "gone for good" in alerts[1].summary


@pytest.mark.parametrize(("each", "crash"), [(1, False), (13, True), (5_000, False)])
def test_any_batching_and_any_restart_tell_the_same(each: int, crash: bool) -> None:
    log = Log()
    log.span(0, 25 * HOUR, {"billing": {None: 5}, "search": {None: 9}}, every=7)
    log.span(25 * HOUR, 26 * HOUR, {"search": {"bad_json": 9}}, every=7)
    log.span(26 * HOUR, 29 * HOUR, {"billing": {None: 5}, "search": {None: 9}}, every=7)
    expected = told(log)
    assert {alert.kind for alert in expected} == {"ingest_quality", "source_silent"}
    same = [alert.model_dump(exclude={"evaluated_at"}) for alert in told(log, each=each, crash=crash)]
    assert same == [alert.model_dump(exclude={"evaluated_at"}) for alert in expected]


def test_every_code_has_a_meaning_and_an_advice() -> None:
    assert set(ADVICE) == set(get_args(RejectionCode))
    assert datetime(2026, 11, 10, 12, tzinfo=UTC) == to_datetime(NOON)

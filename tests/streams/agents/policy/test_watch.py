"""Broken policies are told once by episode and questions once by subject; all calls are counted by month."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from schemas.alerts import Alert
from schemas.control.directory import Team, TeamTerm
from schemas.control.policies import Choice, Policy, When
from schemas.control.records import ControlRecord
from schemas.control.snapshot import ControlSnapshot
from schemas.control.use_cases import UseCase
from schemas.status import GovernanceStatus
from streams.agents.config import AgentsConfig
from streams.agents.policy.limits import PolicyLimits
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.standing import Standing
from streams.agents.state_records import read_checkpoints
from streams.agents.tally_message import TallyMessage
from tests.streams.agents.samples import control, message, us

MINUTE, HOUR = 60_000_000, 3_600_000_000
NOON = us("2026-11-10T12:00:00+00:00")
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False), policy=PolicyLimits(quiet_minutes=180), snapshot_deltas=3)
FRONTIER = Policy(
    id="no-frontier",
    when=When(data_class=("restricted",)),
    forbid=Choice(models=("o3*",)),
    mode="enforce",
    owner="Grace",
    reason="Restricted data stays on contracts that we have.",
)
REVIEW = FRONTIER.model_copy(update={"id": "review", "mode": "observe"})
SEARCH = Team(id="search", terms=(TeamTerm(owner="Ada", contact="#search"),))
DOCUMENTS = control(FRONTIER, REVIEW, SEARCH, UseCase(id="triage", owner="Linus"))


def row(hour: int, verdict: str = "forbidden", rule: str = "no-frontier", **more: Any) -> dict[str, Any]:
    """Calls of one team in an hour after noon."""
    told = {"policy_rule": rule, "policy_verdict": verdict, "minute": NOON // MINUTE + hour * 60, "calls": 1}
    named = {"team_id": "search", "use_case": "triage", "workflow": "nightly", "model_class": "frontier"}
    return told | ({} if verdict in ("allowed", "all", "governed") else named) | more


class Log:
    """One tally partition: what enrich told at some hour after noon."""

    def __init__(self) -> None:
        self.messages: list[TallyMessage] = []

    def at(self, hour: float, *rows: Mapping[str, Any]) -> None:
        place = len(self.messages)
        told = NOON + int(hour * HOUR)
        self.messages.append(message(place, place, place + 1, told, rows, watermark_us=told))


class Topics:
    """What a shard that settles after `each` messages has written; `crash`: begun anew from it every time."""

    def __init__(
        self, log: Log, documents: ControlSnapshot = DOCUMENTS, each: int = 7, crash: bool = False, home: int = 0
    ) -> None:
        self.alerts: list[Alert] = []
        self.state: dict[str, bytes] = {}
        self.statuses: dict[str, bytes] = {}
        shard = Shard(home, Counts(1, 1), CONFIG)
        for start in range(0, len(log.messages), each):
            if crash and self.state:
                shard = Shard(home, Counts(1, 1), CONFIG)
                shard.restore(read_checkpoints(self.state))
            for told in log.messages[start : start + each]:
                assert shard.offer(told) == "applied"
            self.settle(shard, documents)

    def settle(self, shard: Shard, documents: ControlSnapshot) -> None:
        settlement = shard.settle(NOON, documents, force=True)
        if settlement is None:
            return
        self.alerts += settlement.alerts
        for held, records in ((self.state, settlement.records), (self.statuses, settlement.statuses)):
            for key, value in records:
                if value is None:
                    held.pop(key, None)
                else:
                    held[key] = value


def told(log: Log, *records: ControlRecord, each: int = 7) -> list[Alert]:
    return Topics(log, control(*records) if records else DOCUMENTS, each).alerts


def brief(alerts: Sequence[Alert]) -> list[tuple[Any, ...]]:
    return [(alert.policy_rule, alert.state, alert.revision, alert.observed) for alert in alerts]


def test_a_broken_policy_is_told_when_it_begins_when_it_doubles_and_when_it_is_over() -> None:
    log = Log()
    log.at(0.1, row(0, calls=4, workflow="hourly"), row(0, verdict="allowed", calls=50))
    log.at(0.2, row(0, calls=15))
    log.at(0.3, row(0, calls=1))
    log.at(3.9)
    log.at(4.0)
    alerts = told(log)
    assert brief(alerts) == [
        ("no-frontier", "firing", 0, 4),
        ("no-frontier", "updated", 1, 20),
        ("no-frontier", "resolved", 2, 20),
    ]
    first, last = alerts[0], alerts[-1]
    assert (first.kind, first.severity, first.owner, first.contact) == ("policy", "critical", "Ada", "#search")
    assert (first.scope.team, first.scope.workflow, first.scope.model_class) == ("search", "hourly", "frontier")
    assert first.summary == (
        "Team search makes 4 calls for use case triage (workflow hourly, models of class frontier) that policy "
        "no-frontier of Grace forbids: Restricted data stays on contracts that we have."
    )
    assert last.alert_id == first.alert_id
    assert last.summary.startswith("No such call has come for 3 hours: team search makes 20 calls")
    assert [cause.delta for cause in last.explanation] == [16, 4]
    assert "policy_rule = 'no-frontier'" in first.links[0].href


def test_calls_are_told_again_when_they_have_doubled_beyond_the_first_ten() -> None:
    log = Log()
    for number in range(1, 100):
        log.at(number / 100, row(0))
    assert [one.observed for one in told(log)] == [1, 20, 40, 80]


def test_observing_is_for_information_and_other_verdicts_are_no_news() -> None:
    log = Log()
    log.at(0.1, row(0, rule="review"), row(0, verdict="discouraged"), row(0, verdict="excepted"))
    alerts = told(log)
    assert [(one.policy_rule, one.severity, one.mode) for one in alerts] == [("review", "info", "observe")]


def test_teams_and_use_cases_have_episodes_of_their_own() -> None:
    log = Log()
    log.at(0.1, row(0), row(0, use_case=None), row(0, team_id="risk"), row(0, workflow="other"))
    assert {(one.scope.team, one.scope.use_case, one.observed) for one in told(log)} == {
        ("risk", "triage", 1),
        ("search", None, 1),
        ("search", "triage", 1),
    }


def test_quiet_ends_an_episode_and_the_next_call_begins_another() -> None:
    log = Log()
    log.at(0.1, row(0))
    log.at(9.1, row(9))
    alerts = told(log)
    assert [one.state for one in alerts] == ["firing", "resolved", "firing"]
    assert alerts[0].alert_id == alerts[1].alert_id != alerts[2].alert_id
    assert alerts[2].occurred_at.hour == 21


def test_late_calls_of_what_is_over_are_no_news_and_much_too_late_ones_neither() -> None:
    log = Log()
    log.at(0.1, row(0), row(1))
    log.at(8.9)
    log.at(9.0, row(0, calls=30))
    log.at(9.1, row(-40 * 24))
    assert [one.state for one in told(log, each=1)] == ["firing", "resolved"]


def test_an_unregistered_use_case_is_asked_about_once_until_it_is_registered() -> None:
    log = Log()
    asked = {"rule": "(use_case)", "verdict": "unclear", "use_case": "poems"}
    log.at(0.1, row(0, **asked))
    log.at(0.2, row(0, **asked, team_id="risk"))
    log.at(40.0, row(40, **asked, calls=5_000))
    topics = Topics(log)
    (question,) = topics.alerts
    assert (question.severity, question.owner, question.scope.use_case) == ("info", "Ada", "poems")
    assert question.summary.startswith("What is use case poems, and who owns it? No document registers it, and team ")
    shard = Shard(0, Counts(1, 1), CONFIG)
    shard.restore(read_checkpoints(topics.state))
    topics.settle(shard, control(SEARCH, UseCase(id="poems", owner="Emily")))
    assert brief(topics.alerts[1:]) == [("(use_case)", "resolved", 1, 5_002)]
    assert topics.alerts[1].summary.startswith("A use case of that name is registered now: What is")


def test_an_unknown_data_class_is_asked_of_the_use_cases_owner() -> None:
    log = Log()
    log.at(0.1, row(0, "unclear", "(data_class)", sub_key="secret"))
    log.at(0.2, row(0, "unclear", "(data_class)", sub_key="internal", use_case=None))
    assert [(one.owner, one.scope.data_class) for one in told(log)] == [("Linus", "secret"), ("Ada", "internal")]


def test_a_rule_that_goes_ends_its_episodes_and_is_not_told_by_what_was_on_the_way() -> None:
    log = Log()
    log.at(0.1, row(0))
    topics = Topics(log)
    shard = Shard(0, Counts(1, 1), CONFIG)
    shard.restore(read_checkpoints(topics.state))
    gone = control(SEARCH, position=9)
    topics.settle(shard, gone)
    assert topics.alerts[-1].summary.startswith("The rule is no longer in force: ")
    shard.offer(message(1, 1, 2, NOON + HOUR, [row(5)]))
    topics.settle(shard, gone)
    assert [one.state for one in topics.alerts] == ["firing", "resolved"]


def test_a_rule_that_enrich_knows_before_us_is_told() -> None:
    log = Log()
    log.messages.append(message(0, 0, 1, NOON, [row(0)], control=50))
    assert brief(told(log, SEARCH)) == [("no-frontier", "firing", 0, 1)]


def busy() -> Log:
    log = Log()
    for hour in range(60):
        rows = [row(hour, "all", "(all)", calls=9), row(hour, "allowed", calls=9)]
        if hour % 17 < 5:
            rows += [row(hour, calls=hour + 1), row(hour - 3, team_id="risk"), row(hour, rule="review")]
        if hour % 23 == 0:
            rows += [row(hour, "unclear", "(use_case)", use_case=f"u{hour}")]
        log.at(hour + 0.5, *rows)
    return log


@pytest.mark.parametrize(("each", "crash"), [(1, False), (13, True), (1_000, False)])
def test_any_batching_and_any_restart_tell_the_same(each: int, crash: bool) -> None:
    expected, same = Topics(busy()), Topics(busy(), each=each, crash=crash)
    assert len(expected.alerts) > 20
    assert {one.state for one in expected.alerts} == {"firing", "updated", "resolved"}
    left_out = {"evaluated_at"}
    assert [one.model_dump(exclude=left_out) for one in same.alerts] == [
        one.model_dump(exclude=left_out) for one in expected.alerts
    ]
    assert {key: json.loads(value)["calls"] for key, value in same.statuses.items()} == {
        key: json.loads(value)["calls"] for key, value in expected.statuses.items()
    }


def test_what_was_told_is_remembered_by_a_shard_that_lost_its_memory() -> None:
    log = busy()
    whole = Topics(log)
    half = Log()
    half.messages = log.messages[:30]
    before = Topics(half)
    shard = Shard(0, Counts(1, 1), CONFIG)
    for told_message in log.messages[20:30]:
        # What stands of the tallies; the rest is gone.
        shard.offer(told_message, accept_hole=True)
    shard.judge(NOON, ControlSnapshot())
    shard.unsent.clear()
    statuses = {key: GovernanceStatus.model_validate_json(value) for key, value in before.statuses.items()}
    standing = Standing.of(before.alerts, statuses.items())
    assert standing.at_home(0, 1).governance == statuses
    shard.policy.reconcile(standing.alerts.values())
    shard.policy.months.remember(standing.governance)
    for told_message in log.messages[30:]:
        shard.offer(told_message)
    before.settle(shard, DOCUMENTS)
    known = [(one.alert_id, one.state) for one in whole.alerts if one.state != "updated"]
    assert [(one.alert_id, one.state) for one in before.alerts if one.state != "updated"] == known
    assert json.loads(before.statuses[MONTH])["calls"] == json.loads(whole.statuses[MONTH])["calls"]


MONTH = "(governance)|2026-11-01T00:00:00+00:00"


def test_governance_is_told_by_month_and_what_is_long_over_is_retired() -> None:
    log = Log()
    for hour in (0, 24 * 25, 24 * 60):
        log.at(
            hour + 0.5,
            row(hour, "all", "(all)", calls=8, cost_nanousd=800),
            row(hour, "governed", "(all)", calls=6, cost_nanousd=500, provisional_nanousd=20),
            row(hour, "high_risk_approved", "(all)", workflow=f"w{hour}", team_id=None, use_case=None),
        )
    log.at(24 * 25 + 1, row(0, "all", "(all)", calls=2))
    topics = Topics(log, each=1)
    december, january = "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"
    assert set(topics.statuses) == {f"(governance)|{december}", f"(governance)|{january}"}
    status = GovernanceStatus.model_validate_json(topics.statuses[f"(governance)|{january}"])
    assert (status.calls["all"], status.calls["governed"], status.governed_share) == (8, 6, 0.75)
    assert (status.cost_nanousd["all"], status.cost_nanousd["governed"]) == (800, 520)
    assert status.high_risk_workflows == ("w1440",)
    assert status.period.end.isoformat() == "2027-02-01T00:00:00+00:00"
    assert status.as_of.offsets == {0: 3}

"""A spike is looked into once, when its first closed buckets are told; what was found stays in all later states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from schemas.alerts import Alert
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from schemas.control.snapshot import ControlSnapshot
from streams.agents.config import AgentsConfig
from streams.agents.investigation.detail import (
    Carried,
    Concentration,
    KeyUse,
    SpikeDetail,
    SpikeQuestion,
    Sums,
)
from streams.agents.investigation.investigator import Looked
from streams.agents.shard import Counts, Shard
from streams.agents.state_records import read_checkpoints
from tests.streams.agents.samples import cell, control, message, us

HOUR: Final = 3_600_000_000
BUCKET: Final = HOUR // 12
DAY: Final = 24 * HOUR
START: Final = us("2026-11-16T00:00:00+00:00")
#: When the loop begins.
AT: Final = START + 4 * DAY + 10 * HOUR
NOTHING: Final = ControlSnapshot()


class Team:
    """One team of two use cases, told hour by hour and then bucket by bucket; `crash` drops what was not committed."""

    def __init__(self, snapshot: ControlSnapshot = NOTHING) -> None:
        self.control = snapshot
        self.state: dict[str, bytes] = {}
        self.alerts: list[Alert] = []
        self.messages: list[Any] = []
        self.shard = Shard(0, Counts(1, 1), AgentsConfig())
        self.at = START
        while self.at < AT:
            self._send(self.at, HOUR, loop=False)
        self.settle()
        self.crash()

    def bucket(self, *, loop: bool, commit: bool = True, quiet: bool = False) -> None:
        """Five minutes pass, and the watermark passes the five minutes before."""
        self._send(self.at, BUCKET, loop=loop, quiet=quiet)
        self.settle(commit=commit)

    def open_bucket(self) -> None:
        """The loop begins, and the watermark stays where the five minutes began."""
        self._send(self.at, BUCKET, loop=True, is_over=False)
        self.at -= BUCKET
        self.settle()

    def _send(self, first_us: int, length_us: int, *, loop: bool, quiet: bool = False, is_over: bool = True) -> None:
        rows = [
            cell(
                at,
                use_case=name,
                model_class="standard",
                calls=calls,
                input_tokens=3000 * calls,
                output_tokens=200 * calls,
                cost_nanousd=12_000_000 * calls,
            )
            for at in range(first_us, first_us + length_us, BUCKET)
            for name, calls in (("triage", 300 if loop else 20), ("answers", 15))
        ]  # fmt: skip
        self.at = first_us + length_us
        number = len(self.messages)
        mark_us = self.at if is_over else first_us
        self.messages.append(
            message(
                number,
                number,
                number + 1,
                self.at,
                [] if quiet else rows,
                watermark_us=mark_us,
                append_us=self.at,
            )
        )
        self.shard.offer(self.messages[-1])

    def settle(self, *, commit: bool = True) -> None:
        settlement = self.shard.settle(self.at, self.control, force=True)
        if settlement is None or not commit:
            return
        self.alerts += settlement.alerts
        for record in settlement.records:
            if record[1] is None:
                self.state.pop(record[0], None)
            else:
                self.state[record[0]] = record[1]

    def crash(self) -> None:
        self.shard = Shard(0, Counts(1, 1), AgentsConfig())
        self.shard.restore(read_checkpoints(self.state))
        self.shard.spike_looks.enabled = True
        for one in self.messages[self.shard.chain.next_offset :]:
            self.shard.offer(one)

    def asked(self) -> list[SpikeQuestion]:
        return self.shard.spike_looks.take_questions()

    def answer(self, question: SpikeQuestion, found: SpikeDetail | None, *, commit: bool = True) -> None:
        self.shard.spike_looks.give([Looked(question, found)])
        self.settle(commit=commit)

    def until_over(self) -> None:
        """Use is as ever until that is told."""
        for _ in range(36):
            self.bucket(loop=False)
            if self.spikes()[-1].state == "resolved":
                return
        raise AssertionError("the loop was not over within three hours")

    def until_told(self) -> SpikeQuestion:
        """The loop runs until it is told and asked about."""
        for _ in range(12):
            self.bucket(loop=True)
            if asked := [one for one in self.asked() if not one.so_far]:
                (question,) = asked
                return question
        raise AssertionError("the loop was not found within an hour")

    def spikes(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.kind == "spike"]


def carried(alert: Alert) -> tuple[tuple[str, float, int], ...]:
    return tuple((cause.factor, cause.share, cause.delta) for cause in alert.carried_by)


def found(question: SpikeQuestion) -> SpikeDetail:
    """One person's session makes nearly all of it."""
    rise = 9 * question.expected
    now = question.expected + rise
    return SpikeDetail(
        Sums(1000, 0, 0, 3_000_000, 0, 200_000, now, 0, 0),
        Sums(500, 0, 0, 1_500_000, 0, 100_000, 2 * question.expected, 0, 0),
        (
            Carried("workflow", "nightly", now - question.expected // 2, question.expected),
            Carried("workflow", "daily", question.expected // 2, question.expected),
            Carried("model", "sonnet", now, 2 * question.expected),
        ),
        (Concentration("person", 14, 0.97, 1, 900, 20), Concentration("session", 312, 0.96, 1, 900, 0)),
        KeyUse(now, question.expected, 0, 0, 0),
    )


@pytest.fixture(scope="module")
def warm() -> Team:
    return Team()


@pytest.fixture
def team(warm: Team) -> Team:
    """The same four days, without living them again."""
    fresh = object.__new__(Team)
    fresh.__dict__.update(warm.__dict__)
    fresh.state, fresh.alerts, fresh.messages = dict(warm.state), [], list(warm.messages)
    fresh.crash()
    return fresh


def test_what_single_calls_tell_comes_in_one_revision_and_stays(team: Team) -> None:
    question = team.until_told()
    first = team.spikes()[-1]
    assert (first.scope.use_case, first.incident) == ("triage", "runaway_loop")
    assert first.summary.endswith("Single calls are being looked into.")
    assert (question.alert_id, question.team, question.use_case) == (first.alert_id, "search", "triage")
    start, end = int(first.window.start.timestamp()) * 1_000_000, int(first.window.end.timestamp()) * 1_000_000
    assert question.now == (start, end)
    assert question.before[:2] == ((start - 7 * DAY, end - 7 * DAY), (start - DAY, end - DAY))
    assert (question.expected, question.below) == (first.expected, {0: len(team.messages)})
    team.answer(question, found(question))
    update = team.spikes()[-1]
    assert (update.state, update.revision) == ("updated", first.revision + 1)
    assert update.behind == "one of 14 users"
    assert [(cause.dimension, cause.factor) for cause in update.carried_by] == [("workflow", "nightly")]
    assert sum(cause.share for cause in update.carried_by) + (update.uncarried_share or 0) == pytest.approx(1)
    assert "one session of 312 carries 96% of it" in update.summary
    assert "of it in workflow nightly, one of 14 users;" in update.summary
    assert any("log_comment = 'who is behind spike-" in link.href for link in update.links)
    count = len(team.spikes())
    for _ in range(8):
        team.bucket(loop=True)
    team.until_over()
    later = team.spikes()[count:]
    assert later[-1].state == "resolved"
    assert {(alert.behind, *carried(alert)) for alert in later} == {("one of 14 users", *carried(update))}
    # Amounts are of the span that was looked into, and later states say so.
    (first_carried,) = update.carried_by
    (last_carried,) = later[-1].carried_by
    assert last_carried.label == f"{first_carried.label} by {update.window.end:%H:%M} UTC"
    assert [alert.revision for alert in team.spikes()] == list(range(len(team.spikes())))
    assert team.asked() == []
    assert not any("spikelook" in key for key in team.shard.spike_looks.documents())


def test_whatever_dies_nothing_is_told_twice_and_the_same_is_asked(team: Team) -> None:
    first = team.until_told()
    team.crash()
    team.settle()
    (again,) = team.asked()
    assert (again.now, again.before, again.expected) == (first.now, first.before, first.expected)
    # The answer dies with the process before it is committed.
    team.answer(again, found(again), commit=False)
    team.crash()
    team.settle()
    (third,) = team.asked()
    team.answer(third, found(third))
    told = [alert for alert in team.spikes() if alert.behind is not None]
    assert len(told) == 1
    team.crash()
    team.settle()
    assert team.asked() == []
    # An answer that comes once more, from before the crash, is nothing new.
    team.answer(third, found(third))
    team.bucket(loop=True)
    assert [alert.behind for alert in team.spikes() if alert.revision > told[0].revision] in ([], ["one of 14 users"])


def test_what_is_plain_early_is_looked_into_at_once_and_again_when_it_is_over(team: Team) -> None:
    team.open_bucket()
    (first,) = team.spikes()
    assert (first.state, first.summary.endswith("Single calls are being looked into.")) == ("firing", True)
    (early,) = team.asked()
    assert early.so_far
    team.answer(early, found(early))
    told = team.spikes()[-1]
    assert (told.state, told.revision, told.behind) == ("updated", 1, "one of 14 users")
    assert told.summary.endswith("once more when the five minutes are over.")
    team.crash()
    team.bucket(loop=True, quiet=True)
    assert [alert.behind for alert in team.spikes()[2:]] == ["one of 14 users"]
    (exact,) = team.asked()
    assert (exact.so_far, exact.now) == (False, early.now)
    # The answer of before, come once more, is not taken for that of the closed bucket.
    team.answer(early, None)
    assert len(team.spikes()) == 3
    team.answer(exact, found(exact))
    assert team.spikes()[-1].summary.endswith("if it goes on.")


def test_nobody_is_told_that_clickhouse_was_away_before_the_bucket_is_over(team: Team) -> None:
    team.open_bucket()
    (early,) = team.asked()
    team.answer(early, None)
    assert (len(team.spikes()), team.asked()) == (1, [])
    team.bucket(loop=True, quiet=True)
    (exact,) = team.asked()
    team.answer(exact, None)
    assert team.spikes()[-1].summary.endswith("ClickHouse was away or behind: this is from the stream's sums alone.")


def test_a_late_answer_tells_the_same_as_one_at_once(warm: Team, team: Team) -> None:
    question = team.until_told()
    team.answer(question, found(question))
    soon = team.spikes()[-1]
    late = object.__new__(Team)
    late.__dict__.update(warm.__dict__)
    late.state, late.alerts, late.messages = dict(warm.state), [], list(warm.messages)
    late.crash()
    asked = late.until_told()
    for _ in range(5):
        late.bucket(loop=True, commit=False)
    late.crash()
    late.settle()
    (asked,) = late.asked()
    late.answer(asked, found(asked))
    told = late.spikes()[-1]
    assert (asked.now, asked.before, asked.expected) == (question.now, question.before, question.expected)
    assert (told.alert_id, carried(told), told.behind, told.incident) == (
        soon.alert_id, carried(soon), soon.behind, soon.incident,
    )  # fmt: skip


def test_when_clickhouse_is_away_one_revision_says_so(team: Team) -> None:
    question = team.until_told()
    team.answer(question, None)
    update = team.spikes()[-1]
    assert update.state == "updated"
    assert update.summary.endswith("ClickHouse was away or behind: this is from the stream's sums alone.")
    count = len(team.spikes())
    team.crash()
    team.settle()
    assert (team.asked(), len(team.spikes())) == ([], count)


def test_what_nobody_may_be_seen_through_is_not_named_from_the_sums_either(team: Team) -> None:
    question = team.until_told()
    detail = found(question)
    few = (Concentration("person", 3, 0.97, 1, 900, 20),)
    team.answer(question, replace(detail, carried=(), concentrations=few, key=None))
    update = team.spikes()[-1]
    assert (update.carried_by, update.uncarried_share) == ((), 1.0)
    assert update.behind == "fewer than 5 users"
    assert "one person" not in update.summary


def test_a_look_of_another_version_is_let_go(team: Team) -> None:
    team.until_told()
    ((key, _),) = team.shard.spike_looks.documents().items()
    fresh = Shard(0, Counts(1, 1), AgentsConfig()).spike_looks
    fresh.restore({key: '{"stage": "unheard of"}'})
    assert fresh.take_documents() == {key: None}


def test_an_answer_after_the_end_is_told_to_nobody(team: Team) -> None:
    question = team.until_told()
    team.until_over()
    count = len(team.spikes())
    team.answer(question, found(question))
    assert len(team.spikes()) == count


def test_what_is_planned_is_not_looked_into(team: Team) -> None:
    team.control = control(
        PlannedActivity(
            id="move", scope=Scope(team="search"), what="A move", owner="Ada",
            starts_at="2026-11-20T00:00:00Z", ends_at="2026-11-21T00:00:00Z",  # type: ignore[arg-type]
        )
    )  # fmt: skip
    for _ in range(6):
        team.bucket(loop=True)
    assert {alert.incident for alert in team.spikes()} == {"planned_activity"}
    assert team.asked() == []


def test_without_anybody_to_ask_nothing_is_promised(team: Team) -> None:
    team.shard.spike_looks.enabled = False
    for _ in range(6):
        team.bucket(loop=True)
    assert team.spikes()
    assert team.asked() == []
    assert all(alert.summary.endswith("if it goes on.") for alert in team.spikes())

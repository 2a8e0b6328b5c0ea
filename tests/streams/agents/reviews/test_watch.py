"""Reviews in a shard: when they are due, what stands in the checkpoint, what a crash leaves, and what people say."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

import pytest
from prometheus_client import CollectorRegistry

from runtime.clock import FixedClock, to_datetime
from runtime.metrics import AgentMetrics
from schemas.alerts import Alert, AlertWindow, Said
from schemas.control.activities import PlannedActivity
from schemas.control.budgets import Scope
from schemas.control.directory import Team, TeamTerm
from schemas.control.feedback import AlertFeedback
from schemas.control.records import ControlRecord
from schemas.control.snapshot import ControlSnapshot
from schemas.tallies import home_partition
from streams.agents.config import AgentsConfig
from streams.agents.history import NotYet
from streams.agents.reviews.policy import ReviewPolicy
from streams.agents.reviews.questions import (
    DivergenceQuestion,
    Question,
    RegressionQuestion,
    SpikeTold,
    UseCases,
    Workflow,
    Workflows,
)
from streams.agents.reviews.reviewer import Reviewed, Reviewer
from streams.agents.reviews.watch import HOME
from streams.agents.shard import Counts, Shard
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.standing import Standing
from streams.agents.state_records import read_checkpoints
from tests.streams.agents.rebuilt_world import World, traffic
from tests.streams.agents.reviews.months import DAY, START, Hour, Known, Source, cells
from tests.streams.agents.samples import control, message

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
CONFIG = AgentsConfig(spikes=SpikePolicy(enabled=False))
TRIAGE = Workflow("support", "triage")
DEPLOY = 10 * DAY


@cache
def deployed() -> Known:
    """Tripled by version v2 after ten days."""
    return Known(
        cells(lambda at: [Hour(40, input_tokens=6_000, version="v2") if at >= DEPLOY else Hour(40)], seed=5, days=25)
    )


@dataclass
class Life:
    """A shard at the home of reviews, driven by hours of event time; `crash` drops what was not committed."""

    records: list[ControlRecord] = field(default_factory=list)
    spikes: tuple[SpikeTold, ...] = ()
    config: AgentsConfig = CONFIG
    partition: int = 0
    tallies: int = 1
    state: dict[str, bytes] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    known: Known = field(default_factory=deployed)

    def __post_init__(self) -> None:
        self.shard = self._open()

    def _open(self) -> Shard:
        shard = Shard(self.partition, Counts(1, self.tallies), self.config)
        shard.restore(read_checkpoints(self.state))
        shard.reviews.enabled = True
        return shard

    def crash(self) -> None:
        self.shard = self._open()

    def reach(self, hour: float, behind_us: int = 0) -> None:
        """The watermark passes this hour of the simulation."""
        at_us = round((START + hour) * HOUR_US)
        at = self.shard.chain.next_offset
        self.shard.offer(
            message(at, at, at + 1, at_us + MINUTE_US, watermark_us=at_us, append_us=at_us + MINUTE_US + behind_us)
        )

    def settle(self, *, commit: bool = True) -> list[Question]:
        """One settlement, and what is asked after it."""
        snapshot: ControlSnapshot = control(*self.records)
        settlement = self.shard.settle(self.shard.watermarks.now.append_us or 0, snapshot, force=True)
        if settlement is not None and commit:
            for key, value in settlement.records:
                if value is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = value
            self.alerts += settlement.alerts
        fresh = self.shard.reviews.take_questions()
        self.asked += fresh
        return fresh

    def answer(self, questions: list[Question]) -> None:
        source = Source({TRIAGE: self.known}, {TRIAGE: "help"}, self.spikes)
        for question in questions:
            answer = source.answer(question) if isinstance(question, RegressionQuestion) else UseCases(())
            self.shard.reviews.give([Reviewed(question, answer)])

    def live(self, first: int, last: int, step: int = 1) -> None:
        """Hours pass, and every question is answered at once."""
        for hour in range(first, last, step):
            self.reach(hour)
            self.answer(self.settle())
            self.settle()

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(alert.state, alert.revision) for alert in self.alerts if alert.kind == "workflow_regression"]


def test_an_hour_is_due_once_and_a_day_with_it() -> None:
    life = Life()
    assert life.settle() == []
    life.reach(100.5)
    first = life.settle()
    assert [type(question) for question in first] == [RegressionQuestion, DivergenceQuestion]
    hour, day = first
    assert isinstance(hour, RegressionQuestion)
    assert (hour.until_hour - START, dict(hour.below), hour.running) == (100, {0: 1}, ())
    # The fifth day of the week: the newest week that closed a day ago and more ended with the Monday.
    assert day.until_hour == START
    life.reach(100.9)
    assert life.settle() == []
    life.reach(101)
    assert [question.until_hour - START for question in life.settle()] == [101]
    life.reach(168 + 3)
    assert [question.until_hour - START for question in life.settle()] == [171, 0]
    life.reach(168 + 25)
    assert [question.until_hour - START for question in life.settle()] == [193, 168]


def test_one_shard_alone_is_the_home() -> None:
    home = home_partition(HOME, 4)
    for partition in range(4):
        life = Life(partition=partition, tallies=4)
        life.reach(100)
        assert bool(life.settle()) == (partition == home)
    off = Life(config=AgentsConfig(spikes=SpikePolicy(enabled=False), reviews=ReviewPolicy(enabled=False)))
    off.reach(100)
    assert off.settle() == []


def test_old_event_time_is_not_reviewed() -> None:
    life = Life()
    life.reach(100, behind_us=3 * 24 * HOUR_US)
    assert life.settle() == []


def test_a_question_stands_until_it_is_answered_and_nothing_is_told_twice_whoever_dies() -> None:
    life = Life()
    life.live(DEPLOY - 2, DEPLOY + 6)
    assert life.told == []
    life.reach(DEPLOY + 7)
    (asked,) = life.settle()
    # The answer is judged, but its checkpoint is never written.
    life.answer([asked])
    life.settle(commit=False)
    assert life.told == []
    life.crash()
    (again,) = life.settle()
    assert again == asked
    life.answer([again])
    life.settle()
    assert life.told == [("firing", 0)]
    first = life.alerts[-1]
    life.crash()
    assert life.settle() == []
    # A late answer to what is answered.
    life.answer([asked])
    life.settle()
    assert life.told == [("firing", 0)]
    other = Life()
    other.live(DEPLOY - 2, DEPLOY + 6)
    other.live(DEPLOY + 7, DEPLOY + 8)
    assert (other.alerts[0].alert_id, other.alerts[0].explanation) == (first.alert_id, first.explanation)


def test_a_newer_hour_takes_the_place_of_one_without_an_answer() -> None:
    life = Life()
    life.reach(DEPLOY + 8)
    life.settle()
    life.reach(DEPLOY + 9)
    (newer,) = life.settle()
    life.crash()
    assert {question.until_hour - START for question in life.settle()} == {DEPLOY + 9, 168}
    assert newer.until_hour - START == DEPLOY + 9


def test_a_running_spike_is_waited_for_and_then_named() -> None:
    start_us = (START + DEPLOY) * HOUR_US

    def spike(*, runs: bool, team: str = "support", use_case: str | None = None) -> SpikeTold:
        return SpikeTold("spike-1", team, use_case, start_us, start_us + HOUR_US, runs)

    for others in (spike(runs=True, team="search"), spike(runs=True, use_case="other")):
        life = Life(spikes=(others,))
        life.live(DEPLOY - 1, DEPLOY + 9, 2)
        assert life.told == [("firing", 0)]
        assert "spike-1" not in life.alerts[0].summary
    life = Life(spikes=(spike(runs=True),))
    life.live(DEPLOY - 1, DEPLOY + 9, 2)
    assert life.told == []
    life.spikes = (spike(runs=False, use_case="help"),)
    life.live(DEPLOY + 10, DEPLOY + 11)
    assert life.told == [("firing", 0)]
    assert life.alerts[0].summary.endswith("Alert spike-1 told of its first hours.")


@pytest.mark.parametrize(
    ("said", "state"), [("acknowledged", "updated"), ("expected", "resolved"), ("noise", "resolved")]
)
def test_what_people_say_is_told_once_and_ends_what_they_know(said: Said, state: str) -> None:
    life = Life()
    life.live(DEPLOY + 6, DEPLOY + 8)
    (fired,) = life.alerts
    life.records = [AlertFeedback(id=fired.alert_id, said=said, by="ada", at=to_datetime(START * HOUR_US))]
    life.settle()
    life.crash()
    life.live(DEPLOY + 8, DEPLOY + 60, 6)
    assert life.told == [("firing", 0), (state, 1)]
    assert life.alerts[1].said == said
    assert life.alerts[1].alert_id == fired.alert_id


@pytest.mark.parametrize(
    ("scope", "covers"),
    [
        (Scope(team="support"), True),
        (Scope(use_case="help"), True),
        (Scope(department="service", within=("service", "hotline")), True),
        (Scope(team="search"), False),
        (Scope(department="lab", within=("lab",)), False),
    ],
)
def test_a_plan_makes_it_information(scope: Scope, covers: bool) -> None:
    at = to_datetime((START + DEPLOY) * HOUR_US)
    plan = PlannedActivity(
        id="move", scope=scope, what="a move", owner="Ada", starts_at=at, ends_at=at.replace(month=12)
    )
    life = Life(records=[Team(id="support", terms=(TeamTerm(department="hotline"),)), plan])
    life.live(DEPLOY + 6, DEPLOY + 8)
    (fired,) = life.alerts
    told = (fired.severity, fired.incident, fired.activity)
    assert told == (("info", "planned_activity", "move") if covers else ("warning", "prompt_bloat", None))


def test_after_a_rebuild_what_was_told_goes_on() -> None:
    life = Life()
    life.live(DEPLOY + 6, DEPLOY + 8)
    fresh = Life()
    fresh.shard.reviews.reconcile(life.alerts)
    fresh.live(DEPLOY + 8, DEPLOY + 30, 6)
    assert fresh.told == []
    fresh.live(DEPLOY + 14 * DAY, DEPLOY + 14 * DAY + 2)
    assert fresh.told == [("resolved", 1)]


def test_a_drift_goes_on_after_a_rebuild() -> None:
    life = Life()
    life.live(DEPLOY + 6, DEPLOY + 8)
    (fired,) = life.alerts
    week = ReviewPolicy(usual_days=7)
    # A step of six days becomes the usual a day later; what has run for eight was no step.
    for days, told in ((6, [("resolved", 1)]), (8, [])):
        window = AlertWindow(start=fired.window.end - timedelta(days=days), end=fired.window.end)
        fresh = Life(config=replace(CONFIG, reviews=week))
        fresh.shard.reviews.reconcile([fired.model_copy(update={"window": window})])
        fresh.live(DEPLOY + 22, DEPLOY + 36, 3)
        assert fresh.told == told


def test_it_is_told_again_when_it_has_doubled_and_ends_when_nobody_calls_it() -> None:
    grown = Known(cells(_growing, seed=7, days=20))
    life = Life(known=grown)
    life.live(DEPLOY + 7, DEPLOY + 8)
    life.live(DEPLOY + 2 * DAY, DEPLOY + 4 * DAY, 12)
    assert life.told == [("firing", 0), ("updated", 1)]
    fired, updated = life.alerts
    assert fired.expected is not None
    assert updated.expected is not None
    assert updated.expected == pytest.approx(fired.expected, rel=0.05)
    assert updated.observed - updated.expected >= 2 * (fired.observed - fired.expected)
    assert updated.window.start == fired.window.start
    life.live(DEPLOY + 12 * DAY, DEPLOY + 13 * DAY, 12)
    assert life.told == [("firing", 0), ("updated", 1), ("resolved", 2)]
    assert life.alerts[-1].summary.startswith("It is not called any more")


def test_somebody_who_is_on_it_is_not_told_that_it_has_doubled() -> None:
    life = Life(known=Known(cells(_growing, seed=7, days=20)))
    life.live(DEPLOY + 7, DEPLOY + 8)
    said_at = to_datetime(START * HOUR_US)
    life.records = [AlertFeedback(id=life.alerts[0].alert_id, said="acknowledged", by="ada", at=said_at)]
    life.live(DEPLOY + 2 * DAY, DEPLOY + 4 * DAY, 12)
    assert life.told == [("firing", 0), ("updated", 1)]
    assert life.alerts[1].said == "acknowledged"
    life.live(DEPLOY + 12 * DAY, DEPLOY + 13 * DAY, 12)
    assert [(life.alerts[-1].state, life.alerts[-1].said)] == [("resolved", "acknowledged")]


def _growing(at: int) -> list[Hour]:
    if at < DEPLOY:
        return [Hour(40)]
    if at >= DEPLOY + 5 * DAY:
        return []
    return [Hour(40, input_tokens=6_000 if at < DEPLOY + DAY else 20_000, version="v2")]


def test_a_lost_state_is_rebuilt_with_what_was_told() -> None:
    life = Life()
    life.live(DEPLOY + 6, DEPLOY + 8)
    (fired,) = life.alerts
    world = World()
    traffic(world, 4)
    world.topics.alerts += [fired, fired.model_copy(update={"revision": 1, "state": "updated"})]
    world.lose()
    world.rebuild()
    assert [alert.alert_id for alert in world.topics.alerts if alert.kind == "workflow_regression"] == [
        fired.alert_id,
        fired.alert_id,
    ]
    reviews = world.keeper().shard.reviews
    assert reviews.regressions.running == (TRIAGE,)
    assert reviews.regressions.episodes[TRIAGE].alert.revision == 1
    for partition in range(4):
        at_home = Standing.of([fired], ()).at_home(partition, 4).alerts
        assert bool(at_home) == (partition == home_partition(HOME, 4))


class _Flaky:
    """Answers at the third try; first it is away, then it breaks."""

    def __init__(self) -> None:
        self.tries = 0
        self.is_closed = False

    def workflows(self, _: RegressionQuestion) -> Workflows:
        self.tries += 1
        if self.tries == 1:
            raise NotYet("ClickHouse is away")
        if self.tries == 2:
            raise ValueError("broken")
        return Workflows((), ())

    def use_cases(self, _: DivergenceQuestion) -> UseCases:
        return UseCases(())

    def close(self) -> None:
        self.is_closed = True


class _Hurried(FixedClock):
    """Every look at it is two minutes later, so no pause is waited for."""

    def monotonic(self) -> float:
        self.advance(120_000_000)
        return super().monotonic()


def test_the_reviewer_asks_again_until_it_is_answered() -> None:
    source, registry = _Flaky(), CollectorRegistry()
    reviewer = Reviewer(lambda: source, _Hurried(START * HOUR_US), AgentMetrics(registry).reviews)
    question = RegressionQuestion(0, START, {0: 1}, (), 1.5, 5, 1)
    reviewer.put(RegressionQuestion(0, START - 1, {0: 1}, (), 1.5, 5, 1))
    reviewer.put(question)
    reviewer.put(DivergenceQuestion(1, START, {0: 1}))
    reviewer.drop(1)
    reviewer.start()
    found: list[Reviewed] = []
    waited = threading.Event()
    for _ in range(600):
        found += reviewer.take(0)
        if found:
            break
        waited.wait(0.1)
    reviewer.stop()
    assert found == [Reviewed(question, Workflows((), ()))]
    assert (source.tries, source.is_closed) == (3, True)
    for result in ("answered", "waited", "failed"):
        name = "streamgauge_agents_reviews_total"
        assert registry.get_sample_value(name, {"kind": "regressions", "result": result}) == 1

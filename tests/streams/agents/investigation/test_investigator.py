"""Questions are asked beside the shards: again while nobody answers, a few times; a defect ends nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from runtime.clock import SystemClock
from streams.agents.history import NotYet
from streams.agents.investigation.detail import (
    CauseQuestion,
    Detail,
    Moves,
    SiblingQuestion,
    SpikeDetail,
    SpikeQuestion,
    Sums,
)
from streams.agents.investigation.investigator import Investigator, Looked

DETAIL = SpikeDetail(Sums(1, 0, 0, 1, 0, 1, 1, 0, 0), None, (), (), None)


def question(alert_id: str, partition: int = 0) -> SpikeQuestion:
    return SpikeQuestion(partition, alert_id, "search", None, (0, 1), ((0, 1),), 0, {})


@dataclass
class Calls:
    """Does not answer what is `away`, breaks on what is `broken`; `asked` lists what it was asked."""

    asked: list[str] = field(default_factory=list)
    closed: bool = False

    def causes(self, question: CauseQuestion) -> Detail:
        raise AssertionError(question)

    def siblings(self, question: SiblingQuestion) -> Moves:
        raise AssertionError(question)

    def spike(self, question: SpikeQuestion) -> SpikeDetail:
        self.asked.append(question.alert_id)
        if question.alert_id == "away":
            raise NotYet("ClickHouse does not answer")
        if question.alert_id == "broken":
            raise ZeroDivisionError("a defect")
        return DETAIL

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def investigator(calls: Calls) -> Iterator[Investigator]:
    running = Investigator(lambda: calls, SystemClock(), first_pause_s=0.002)
    running.start()
    yield running
    running.stop()
    assert calls.closed == bool(calls.asked)


def looked(investigator: Investigator, partition: int = 0) -> Looked:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := investigator.take(partition):
            (one,) = found
            return one
        time.sleep(0.005)
    raise AssertionError("nothing was told within 20 s")


def test_an_answer_is_given_to_its_shard(investigator: Investigator) -> None:
    asked = question("one", partition=3)
    investigator.put(asked)
    assert looked(investigator, 3) == Looked(asked, DETAIL)
    assert investigator.take(3) == []


def test_who_is_away_is_asked_six_times_and_then_nobody_could_tell(calls: Calls, investigator: Investigator) -> None:
    investigator.put(question("away"))
    assert looked(investigator).found is None
    assert calls.asked == ["away"] * 6


def test_a_defect_ends_nothing(calls: Calls, investigator: Investigator) -> None:
    investigator.put(question("broken"))
    assert looked(investigator).found is None
    investigator.put(question("one"))
    assert looked(investigator).found == DETAIL
    assert calls.asked == ["broken", "one"]


def test_a_shard_that_is_let_go_of_is_told_nothing(investigator: Investigator) -> None:
    investigator.put(question("away", partition=1))
    investigator.drop(1)
    investigator.put(question("one"))
    assert looked(investigator).found == DETAIL
    assert investigator.take(1) == []

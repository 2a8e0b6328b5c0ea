"""Questions are asked beside the shards: again while the history is away, no more when nobody wants the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from runtime.clock import SystemClock
from streams.agents.base.asker import Answered, BaseAsker, Told, Waiting
from streams.agents.history import BaseQuestion, NotYet


class History:
    """Answers once `there`; `asked` counts the tries."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.asked = 0
        self.closed = False
        self.defect = False

    def bases(self, question: BaseQuestion) -> list[pa.Table]:
        self.asked += 1
        if self.defect:
            raise ZeroDivisionError("a defect")
        if not self.there.is_set():
            raise NotYet("ClickHouse does not answer", renew=question.adjusted == 1)
        return [pa.table({"minute": [question.adjusted]})]

    def close(self) -> None:
        self.closed = True


def told(asker: BaseAsker, partition: int) -> Told:
    """What is told next of the shard's question."""
    found: list[Told] = []

    def is_told() -> bool:
        one = asker.take(partition)
        found.extend([] if one is None else [one])
        return bool(found)

    wait_for(is_told)
    return found[0]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def asker(history: History) -> Iterator[BaseAsker]:
    running = BaseAsker(lambda: history, SystemClock())
    running.start()
    yield running
    running.stop()
    assert history.closed


def test_a_question_is_asked_until_it_is_answered(history: History, asker: BaseAsker) -> None:
    question = BaseQuestion(3, (), {0: 5}, 0)
    asker.put(question)
    first = told(asker, 3)
    assert isinstance(first, Waiting)
    assert (first.question, first.why, first.renew) == (question, "ClickHouse does not answer", False)
    history.there.set()
    second = told(asker, 3)
    assert isinstance(second, Answered)
    assert second.question is question
    tries = history.asked
    # Another shard's answer is no news for this one, nor does it wait behind it.
    asker.put(BaseQuestion(4, (), {}, 2))
    assert isinstance(told(asker, 4), Answered)
    assert asker.take(3) is None
    assert history.asked == tries + 1


def test_what_needs_a_new_question_waits_for_it_and_a_defect_ends_nothing(history: History, asker: BaseAsker) -> None:
    asker.put(BaseQuestion(0, (), {}, 1))
    first = told(asker, 0)
    assert isinstance(first, Waiting)
    assert first.renew
    history.defect = True
    asker.put(BaseQuestion(0, (), {}, 0))
    second = told(asker, 0)
    assert isinstance(second, Waiting)
    assert "ZeroDivisionError: a defect" in second.why
    assert second.renew
    history.defect = False
    history.there.set()
    asker.drop(0)
    asker.put(BaseQuestion(0, (), {}, 2))
    assert isinstance(told(asker, 0), Answered)

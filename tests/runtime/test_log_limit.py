"""A library that repeats itself is heard once per interval, and how often it spoke is told."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from runtime.log_limit import LogLimit, Repeats


class Heard:
    """A logger whose handler is limited to one line of a kind in ten seconds, by a clock that stands."""

    def __init__(self, logger: logging.Logger) -> None:
        self.now = 100.0
        self._out = io.StringIO()
        self.logger = logger
        self.handler = logging.StreamHandler(self._out)
        self.handler.addFilter(LogLimit(Repeats(10, lambda: self.now)))

    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()


@pytest.fixture
def heard() -> Iterator[Heard]:
    logger = logging.getLogger("some.library")
    made = Heard(logger)
    logger.addHandler(made.handler)
    logger.propagate = False
    yield made
    logger.propagate = True
    logger.removeHandler(made.handler)


def test_the_first_is_said_at_once_and_the_others_are_counted(heard: Heard) -> None:
    for node in range(4_800):
        heard.logger.error("Unable connect to node %s", node)
    heard.logger.error("Unable to update metadata")
    assert heard.lines() == ["Unable connect to node 0", "Unable to update metadata"]
    heard.now += 10
    heard.logger.error("Unable connect to node %s", 7)
    assert heard.lines()[2:] == ["Unable connect to node 7 (and 4,799 more like this)"]
    heard.now += 10
    heard.logger.error("Unable connect to node %s", 8)
    assert heard.lines()[3:] == ["Unable connect to node 8"]


def test_levels_are_kinds_of_their_own_and_kinds_without_end_are_let_go(heard: Heard) -> None:
    heard.logger.warning("away")
    heard.logger.error("away")
    assert heard.lines() == ["away", "away"]
    for number in range(5_000):
        line = f"figure {number}"
        heard.logger.error(line)
    assert len(heard.lines()) == 5_002

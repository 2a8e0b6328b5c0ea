"""docs/spikes.md: its figures are the code's, its example is what the agents tell, its tables are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, get_args

import pytest
import yaml

from schemas.alerts import Confidence, Said
from schemas.alerts import Incident as Looks
from schemas.control.activities import PlannedActivity
from schemas.control.records import parse_record
from sources.fleet.incidents import load_test
from streams.agents.spikes import book
from streams.agents.spikes.policy import SpikePolicy
from tests.docs.spikes_page import BLOCKS, PAGE, example
from tests.docs.tables import block
from tests.support.enrich import CONFIG

#: What these show is run through enrich and the agents, which takes its time.
SLOW: Final = ("example", "end")


@pytest.mark.parametrize(
    ("marker", "make"),
    [pytest.param(*one, marks=[pytest.mark.slow] if one[0] in SLOW else []) for one in BLOCKS],
    ids=[marker for marker, _ in BLOCKS],
)
def test_figures_are_the_codes(marker: str, make: Callable[[], str]) -> None:
    assert block(PAGE, marker)[2] == make(), "run `python -m tests.docs.spikes_page`"


@pytest.mark.slow
def test_the_example_is_the_planted_one_and_adds_up() -> None:
    found = example()
    first = found.states[0]
    assert first.incident in found.incident.looks
    assert abs(first.occurred_at - found.incident.starts_at).total_seconds() <= 600
    assert first.expected is not None
    assert sum(cause.delta for cause in first.explanation) == first.observed - first.expected
    assert found.states[-1].state == "resolved"


def test_every_name_is_explained() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.prose, re.MULTILINE)
    for name in (*get_args(Looks), *get_args(Confidence)):
        assert listed.count(name) == 1, name
    for said in get_args(Said):
        assert f"alerts {said}" in PAGE.text or said == "acknowledged"


def test_other_figures_in_the_text_stand_in_the_code() -> None:
    text = " ".join(PAGE.prose.split())
    assert f"at least {SpikePolicy().carried:.0%} of its team's rise" in text
    assert f"fewer than {book._LOW_CALLS} calls" in text
    assert (book._LOW_HOURS, book._MEDIUM_HOURS) == (7 * 24, 21 * 24), "the table speaks of a week and of three"
    assert CONFIG.lateness_s == 120, "the page says that the watermark is two minutes behind"


def test_the_activity_is_a_document() -> None:
    [text] = PAGE.blocks("yaml")
    activity = parse_record(json.dumps(yaml.safe_load(text)))
    assert isinstance(activity, PlannedActivity)
    assert (activity.id, activity.scope.team) == (load_test.ACTIVITY, load_test.TEAM)

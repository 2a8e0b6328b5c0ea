"""What ceilings learn from exceptions that are over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streamgauge.cli.output import short_amount
from streamgauge.exceptions.outcomes import Outcome, learn
from tests.streamgauge.exceptions.people import NOW

DOLLAR = 1_000_000_000


def outcome(granted: int = 100, used: int | None = 0, **more: Any) -> Outcome:
    fields: dict[str, Any] = {
        "exception_id": "e",
        "budget_id": "search-month",
        "team_id": "search",
        "unit": "nanousd",
        "granted": granted * DOLLAR,
        "used": None if used is None else used * DOLLAR,
        "valid_from": NOW - timedelta(days=7),
        "valid_to": NOW,
        "decided_by": "fin",
        "last_step": "expired",
        "outcomes": 0,
        "cost_before_usd": None,
        "cost_during_usd": None,
    }
    return Outcome(**(fields | more))


@pytest.mark.parametrize(
    ("outcomes", "lessons"),
    [
        ([], []),
        ([outcome(used=90)], []),
        ([outcome(used=90), outcome(used=40)], []),
        ([outcome(used=90), outcome(used=60), outcome(used=70)], [("raise_the_limit", 3, 70)]),
        ([outcome()], [("ask_for_less", 1, 100)]),
        ([outcome(), outcome(used=90)], [("ask_for_less", 1, 100)]),
        ([outcome(), outcome(used=90), outcome(used=80)], [("raise_the_limit", 2, 80)]),
        # Not over yet, or of no budget: nothing is known of it.
        ([outcome(used=None, last_step="in_force")] * 3, []),
        ([outcome(budget_id=None, granted=0, used=None)], []),
        ([outcome(used=90, last_step="in_force")] * 3, []),
    ],
)
def test_lessons(outcomes: list[Outcome], lessons: list[tuple[str, int, int]]) -> None:
    told = learn(outcomes, short_amount)
    assert [(one.kind, one.exceptions, one.amount // DOLLAR) for one in told] == lessons


def test_a_lesson_is_a_sentence() -> None:
    family = [outcome(), outcome(), outcome(used=90), outcome(used=80)]
    assert [one.sentence for one in learn(family, short_amount)] == [
        "search-month: 2 of 4 exceptions were used, $80.00 each as a rule: the limit is too low by about that much",
        (
            "search-month: 2 of 4 exceptions were granted and never used, $200 in all: ask what they were for before "
            "the next"
        ),
    ]

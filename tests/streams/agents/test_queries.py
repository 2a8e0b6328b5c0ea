"""Queries for people to paste hold texts that senders chose: none of them ends its literal or takes a line away."""

from __future__ import annotations

import pytest

from schemas.alerts import AlertScope, Cause
from schemas.control.periods import HOUR_US
from streams.agents.queries import literal, spending_query
from streams.agents.spikes.explain.queries import people_query, rise_query

START = 1_700_000_000_000_000
HOSTILE = "a\n--b' OR 1=1 --\\"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("triage", "triage"),
        ("it's", "it\\'s"),
        ("back\\", "back\\\\"),
        ("two\nlines", "two\\x0alines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("Ärger $x", "Ärger $x"),
    ],
)
def test_a_literal_stays_on_its_line(value: str, written: str) -> None:
    assert literal(value) == written


def written(scope: AlertScope, workflow: str) -> tuple[str, ...]:
    carrier = Cause(factor=workflow, dimension="workflow", label="", delta=1, share=1.0)
    return (
        spending_query(scope, START, START + HOUR_US),
        rise_query(scope, START, START + HOUR_US).href,
        people_query("spike-1", scope, START, START + HOUR_US, carrier).href,
    )


def test_what_senders_write_takes_no_line_of_a_query_away() -> None:
    plain, hostile = AlertScope(team="t", use_case="u"), AlertScope(team="t", use_case=HOSTILE)
    for usual, other in zip(written(plain, "w"), written(hostile, HOSTILE), strict=True):
        assert other.replace(literal(HOSTILE), "u") == usual.replace("= 'w'", "= 'u'")

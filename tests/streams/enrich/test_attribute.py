"""Who an event belongs to: dated, credential before user before source before claim; a claim against them loses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from schemas.control.base import us_moment
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.records import ControlRecord
from streams.enrich.attribute import DirectoryIndex
from tests.support.enrich import NOON_US, snapshot_of

NOON = us_moment(NOON_US)


def attribute(
    records: tuple[ControlRecord, ...],
    *,
    at: int = NOON_US,
    claim: str | None = None,
    credential: str | None = None,
    user: str | None = None,
    source: str = "svc",
) -> dict[str, Any]:
    index = DirectoryIndex(snapshot_of(*records))
    found = index.attribute(
        np.asarray([at]),
        pa.array([claim], pa.utf8()),
        pa.array([credential], pa.utf8()),
        pa.array([user], pa.utf8()),
        pa.array([source], pa.utf8()),
    )
    return {
        "team": found.team_id[0].as_py(),
        "by": found.attribution[0].as_py(),
        "department": found.department[0].as_py(),
        "center": found.cost_center[0].as_py(),
        "conflict": bool(found.conflict[0]),
    }


def team(name: str, **term: Any) -> Team:
    return Team(id=name, terms=(TeamTerm(**term),))


SENDERS: tuple[ControlRecord, ...] = (
    Sender(sender="credential", id="key", terms=(Membership(team="a"),)),
    Sender(sender="user", id="hash", terms=(Membership(team="b"),)),
    Sender(sender="source", id="svc", terms=(Membership(team="c"),)),
)


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ({"credential": "key", "user": "hash"}, ("a", "credential")),
        ({"credential": "other", "user": "hash"}, ("b", "user")),
        ({"user": "other"}, ("c", "source")),
        ({"source": "other", "claim": "a"}, ("a", "claim")),
        ({"source": "other", "claim": "unheard of"}, ("unattributed", "unattributed")),
        ({"source": "other"}, ("unattributed", "unattributed")),
    ],
)
def test_precedence(sender: dict[str, str], expected: tuple[str, str]) -> None:
    found = attribute((*SENDERS, team("a"), team("b"), team("c")), **sender)  # type: ignore[arg-type]
    assert (found["team"], found["by"]) == expected


def test_a_claim_against_the_directory_loses_and_is_counted() -> None:
    records = (*SENDERS, team("a"), team("b"))
    assert attribute(records, credential="key", claim="b")["team"] == "a"
    assert attribute(records, credential="key", claim="b")["conflict"]
    assert attribute(records, credential="key", claim="unheard of")["conflict"]
    assert not attribute(records, credential="key", claim="a")["conflict"]
    assert not attribute(records, credential="key")["conflict"]
    assert attribute(records, source="other", claim="unheard of")["conflict"]


def test_without_a_directory_a_claim_is_believed() -> None:
    assert attribute((), claim="anybody") == {
        "team": "anybody",
        "by": "claim",
        "department": None,
        "center": None,
        "conflict": False,
    }


def test_what_held_when_the_event_occurred() -> None:
    records = (
        Sender(
            sender="credential",
            id="key",
            terms=(Membership(team="a", valid_to=NOON), Membership(team="b", valid_from=NOON)),
        ),
        Team(id="a", terms=(TeamTerm(department="old", valid_to=NOON), TeamTerm(department="new", valid_from=NOON))),
        team("b", department="new", cost_center="cc"),
    )
    before = attribute(records, credential="key", at=NOON_US - 1)
    assert (before["team"], before["department"], before["center"]) == ("a", "old", None)
    after = attribute(records, credential="key", at=NOON_US)
    assert (after["team"], after["department"], after["center"]) == ("b", "new", "cc")


def test_outside_every_term_the_next_in_line_is_asked() -> None:
    ended = Sender(sender="credential", id="key", terms=(Membership(team="a", valid_to=NOON),))
    assert attribute((ended, *SENDERS[1:], team("a")), credential="key", user="hash")["by"] == "user"


def test_a_column_of_many() -> None:
    index = DirectoryIndex(snapshot_of(*SENDERS, team("a", department="d"), team("b"), team("c")))
    rows = 1_000
    found = index.attribute(
        np.full(rows, NOON_US),
        pa.array([("a", "x", None)[n % 3] for n in range(rows)], pa.utf8()),
        pa.array(["key" if n % 2 else None for n in range(rows)], pa.utf8()),
        pa.nulls(rows, pa.utf8()),
        pa.array(["elsewhere"] * rows),
    )
    for n in range(rows):
        expected = "a" if n % 2 or n % 3 == 0 else "unattributed"
        assert found.team_id[n].as_py() == expected
        assert found.department[n].as_py() == ("d" if expected == "a" else None)
        assert found.conflict[n] == (n % 3 == 1)
    assert found.unattributed.sum() == found.team_id.to_pylist().count("unattributed")

"""What documents say of calls is held: it turns when a document begins or ends, and no two calls are mixed up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from schemas.control.directory import Membership, Sender
from schemas.control.policies import Policy
from streamgauge.checking import rulebook as room
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import answer
from streamgauge.checking.question import Question
from streamgauge.checking.rulebook import Rulebook, compile_rulebook
from tests.streamgauge.checking.support import KEY, NOW, NOW_US, known_of, snapshot_of

HOUR_US = 3_600_000_000
SENDER = Sender(
    sender="credential",
    id="key",
    terms=(
        Membership(team="first", valid_to=NOW + timedelta(hours=1)),
        Membership(team="second", valid_from=NOW + timedelta(hours=1)),
    ),
)
CALL = Question(credential_id="key")


def team(rules: Rulebook, at_us: int, question: Question = CALL) -> str:
    return rules.of(question, at_us).resolved.facts["team_id"]


def test_what_is_held_turns_with_the_documents_and_back() -> None:
    rules = compile_rulebook(snapshot_of(SENDER), KEY)
    asked = [NOW_US, NOW_US, NOW_US + HOUR_US - 1, NOW_US + HOUR_US, NOW_US + 2 * HOUR_US, NOW_US]
    assert [team(rules, at_us) for at_us in asked] == ["first", "first", "first", "second", "second", "first"]


def test_like_calls_are_found_again_and_unlike_ones_are_not() -> None:
    rules = compile_rulebook(snapshot_of(SENDER), KEY)
    found = rules.of(CALL, NOW_US)
    assert rules.of(replace(CALL, explain=True), NOW_US) is found
    assert rules.of(replace(CALL, session_id="s"), NOW_US) is rules.of(replace(CALL, session_id="t"), NOW_US)
    for other in (replace(CALL, credential_id="other"), replace(CALL, session_id="s"), replace(CALL, model="m")):
        assert rules.of(other, NOW_US) is not found


def test_a_session_counts_by_being_known() -> None:
    required = Policy(id="p", required_fields=("session_id",), owner="Ada", reason="r")
    known = known_of([required])
    told = [
        [reason.state for reason in answer(Question(session_id=session), known, CheckConfig(), NOW_US).reasons]
        for session in (None, "one", None, "two")
    ]
    assert told == [["missing_fields"], [], ["missing_fields"], []]


def test_no_more_is_held_than_is_said() -> None:
    rules = compile_rulebook(snapshot_of(SENDER), KEY)
    for number in range(room.HELD + 10):
        rules.of(replace(CALL, model=f"m{number}"), NOW_US)
    assert len(rules._held) <= room.HELD

"""The server from outside: JSON and proxy questions, codes, headers, and what it refuses to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.exposition import generate_latest

from schemas.control.budgets import Scope
from schemas.control.policies import Choice, Policy, When
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import Known
from tests.streamgauge.checking.support import Served, known_of, monthly, serving, status_of

BUDGETS = {name: monthly(name, Scope(team=name)) for name in ("ok", "warned", "soft", "hard")}
USED = {"ok": 1, "warned": 80, "soft": 100, "hard": 120}


def company() -> Known:
    forbidden = Policy(
        id="no-toys",
        when=When(team=("ruled",)),
        forbid=Choice(models=("toy-*",)),
        mode="enforce",
        owner="Ada",
        reason="r\n→",
    )
    return known_of([forbidden, *BUDGETS.values()], [status_of(one, USED[name]) for name, one in BUDGETS.items()])


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(company()) as running:
        yield running


CODES = [
    ("ok", "m", "allow", 200),
    ("warned", "m", "warn", 200),
    ("soft", "m", "needs_acknowledgement", 403),
    ("hard", "m", "stop", 429),
    ("ruled", "toy-1", "stop", 403),
    ("ruled", "m", "allow", 200),
]


@pytest.mark.parametrize(("team", "model", "decision", "code"), CODES)
def test_json_is_always_200_and_proxies_get_a_code(
    served: Served, team: str, model: str, decision: str, code: int
) -> None:
    asked = {"team_id": team, "model": model}
    status, _, told = served.ask(body=asked)
    assert (status, told["decision"]) == (200, decision)
    assert set(told["freshness"]) == {"read_behind_s", "watermark", "evaluated_at", "stale"}
    headers = {"X-Streamgauge-Team": team, "X-Streamgauge-Model": model}
    for path, more in (
        ("/check", headers),
        (f"/check?team_id={team}&model={model}", {}),
        ("/check/v1/chat?x=1", headers),
    ):
        for method in ("GET", "POST"):
            status, sent, same = served.ask(path, more, method=method)
            assert (status, same) == (code, told), (path, method)
            assert sent["X-Streamgauge-Decision"] == decision
            assert "not a lock" in sent["X-Streamgauge-Note"]
            assert ("Retry-After" in sent) == (decision == "stop")
    assert served.ask("/check?deny=403", headers)[0] == (200 if code == 200 else 403)


def test_a_reason_is_one_line_of_ascii_in_its_header(served: Served) -> None:
    _, sent, told = served.ask(headers={"X-Streamgauge-Team": "ruled", "X-Streamgauge-Model": "toy-1"})
    assert told["reasons"][0]["text"].endswith("(r\n→)")
    assert sent["X-Streamgauge-Reason"].endswith("(r??)")


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({}, b"{", "the body is not JSON"),
        ({}, [], "a question is an object"),
        ({}, {"team": "a"}, "'team' is no field of a question"),
        ({}, {"team_id": 7}, "team_id is 7: a text is meant"),
        ({}, {"team_id": "x" * 1_025}, "1024 are accepted"),
        ({}, {"estimated_cost_usd": "a lot"}, "a number is meant"),
        ({}, {"estimated_cost_usd": -1}, "from 0 to a trillion"),
        ({"X-Streamgauge-Taem": "a"}, None, "X-Streamgauge-Taem is none of ours"),
        ({"X-Streamgauge-Estimated-Cost-Usd": "NaN"}, None, "from 0 to a trillion"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    served: Served, headers: dict[str, str], body: object, said: str
) -> None:
    status, _, told = served.ask(headers=headers, body=body)
    assert status == 400
    assert said in told["error"]


def test_an_unknown_deny_is_refused(served: Served) -> None:
    assert served.ask("/check?deny=500")[0] == 400


def test_a_body_below_the_path_is_not_read(served: Served) -> None:
    """It would be somebody's prompt."""
    status, _, told = served.ask("/check/v1/chat", {"X-Streamgauge-Team": "ok"}, body=b"anything but a question")
    assert (status, told["decision"]) == (200, "allow")


def test_a_token_is_asked_for_where_one_is_set() -> None:
    with serving(company(), CheckConfig(token="secret")) as closed:
        assert closed.ask(body={"team_id": "ok"})[0] == 401
        assert closed.ask(headers={"Authorization": "Bearer wrong"})[0] == 401
        assert closed.ask(headers={"Authorization": "Bearer secret"}, body={"team_id": "ok"})[0] == 200
        assert b'streamgauge_check_refused_total{why="token"} 2.0' in generate_latest(closed.registry)


def test_answers_are_counted_and_measured() -> None:
    with serving(company()) as counted:
        for team in ("ok", "hard", "hard"):
            counted.ask(body={"team_id": team})
        text = generate_latest(counted.registry).decode()
    assert 'streamgauge_check_answers_total{decision="stop"} 2.0' in text
    assert "streamgauge_check_answer_seconds_count 3.0" in text

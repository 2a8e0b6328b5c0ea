"""Our side of Alertmanager's API: what counts as taken, as refused, and as away; TLS and logins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamgauge.forwarding.alertmanager import Alertmanager, Away, Refused
from streamgauge.forwarding.config import ForwardConfig
from tests.support.certificates import make_certificates
from tests.support.receiver import LocalReceiver
from tests.support.tls_door import TlsDoor


@pytest.fixture
def receiver() -> Iterator[LocalReceiver]:
    with LocalReceiver() as running:
        yield running


def client(url: str, **more: object) -> Alertmanager:
    return Alertmanager(ForwardConfig("g", url, timeout_s=2.0, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 408, 429, 500, 502, 503])
def test_what_no_alert_is_to_blame_for_is_waited_out(receiver: LocalReceiver, status: int) -> None:
    receiver.answer = lambda _body: (status, "http://elsewhere/")
    with pytest.raises(Away, match=f"answers {status}: "):
        client(receiver.url).post([{}])
    assert len(receiver.requests) == 1, "a redirection is told, not followed: it would become a GET"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_content_is_to_blame_for_is_refused(receiver: LocalReceiver, status: int) -> None:
    receiver.answer = lambda _body: (status, "no such label")
    with pytest.raises(Refused, match=f"answers {status}: no such label"):
        client(receiver.url).post([{}])


def test_who_does_not_answer_is_away(receiver: LocalReceiver) -> None:
    receiver.gate.clear()
    slow = Alertmanager(ForwardConfig("g", receiver.url, timeout_s=0.2))
    with pytest.raises(Away, match="does not answer"):
        slow.post([{}])
    with pytest.raises(Away, match=r"does not answer .*refused"):
        client("http://127.0.0.1:1").post([])


def test_a_login_or_a_token_is_sent_and_never_shown(receiver: LocalReceiver) -> None:
    config = ForwardConfig("g", receiver.url, username="u", password="pass word", token=None)
    Alertmanager(config).post([])
    Alertmanager(ForwardConfig("g", receiver.url, token="tok")).post([])
    assert [login for _, login, _ in receiver.requests] == ["Basic dTpwYXNzIHdvcmQ=", "Bearer tok"]
    assert "pass word" not in repr(config)


def test_tls_is_checked_against_the_trust_root(receiver: LocalReceiver, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    with TlsDoor(int(receiver.url.rpartition(":")[2]), certificates) as door:
        url = f"https://127.0.0.1:{door.port}"
        client(url, ca_file=str(certificates.ca)).post([{"labels": {}}])
        assert receiver.bodies == [[{"labels": {}}]]
        with pytest.raises(Away, match="certificate verify failed"):
            client(url).post([])

"""The server on the wire: requests in any pieces, kept alive and pipelined, bodies in chunks, and what is refused."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.control.budgets import Scope
from streamgauge.checking import http
from streamgauge.checking.http_head import Malformed, parse_head
from tests.streamgauge.checking.support import Served, known_of, monthly, serving, status_of

BUDGET = monthly("hard", Scope(team="hard"))
BODY = b'{"team_id": "hard"}'
JSON = b"POST /check HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKS = (
    b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8;why=not\r\n%b\r\nB\r\n%b\r\n0\r\nTrailer: x\r\n\r\n"
    % (BODY[:8], BODY[8:])
)
PROXY = b"GET /check HTTP/1.1\r\nX-Streamgauge-Team: hard\r\n\r\n"
#: A body that is not for us, and must not be taken for a request.
PROMPT = b"POST /check/v1 HTTP/1.1\r\nX-Streamgauge-Team: ok\r\nContent-Length: %d\r\n\r\n%b" % (len(PROXY), PROXY)
PROMPT_CHUNKS = (
    b"POST /check/v1 HTTP/1.1\r\nX-Streamgauge-Team: ok\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(PROXY), PROXY)
)
EXPECTED = {JSON: (200, "stop"), CHUNKS: (200, "stop"), PROXY: (429, "stop"), PROMPT: (200, "allow")}
EXPECTED[PROMPT_CHUNKS] = EXPECTED[PROMPT]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(known_of([BUDGET], [status_of(BUDGET, 130)])) as running:
        yield running


class Wire:
    """One connection."""

    def __init__(self, served: Served) -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=10)
        self._read = self._socket.makefile("rb")

    def close(self) -> None:
        self._read.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def ended(self, wait_s: float) -> bool:
        """Whether the other side has closed; what it says meanwhile is lost."""
        self._socket.settimeout(wait_s)
        try:
            return self._socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """(code, headers by lower-case name, body); a code of 0 where the connection has ended."""
        first = self._read.readline()
        if not first:
            return 0, {}, b""
        headers: dict[str, str] = {}
        while (line := self._read.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        body = b"" if head_only else self._read.read(int(headers.get("content-length", "0")))
        return int(first.split()[1]), headers, body


@settings(max_examples=25, deadline=None)
@given(
    requests=st.lists(st.sampled_from(list(EXPECTED)), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 600), max_size=5),
)
def test_requests_are_answered_in_order_however_they_come(
    served: Served, requests: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(requests)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    with closing(Wire(served)) as wire:
        for start, end in itertools.pairwise(places):
            wire.send(data[start:end])
        for request in requests:
            code, headers, body = wire.answer()
            assert (code, json.loads(body)["decision"]) == EXPECTED[request]
            assert headers["content-type"] == "application/json; charset=utf-8"
            assert "connection" not in headers


def test_a_connection_ends_when_the_asker_says_so_and_with_http_1_0(served: Served) -> None:
    for request, is_kept in (
        (PROXY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (PROXY.replace(b"1.1", b"1.0"), False),
        (PROXY.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n"), True),
    ):
        with closing(Wire(served)) as wire:
            wire.send(request)
            code, headers, _ = wire.answer()
            assert (code, "connection" not in headers) == (429, is_kept)
            if not is_kept:
                assert wire.answer()[0] == 0


def test_a_head_request_has_no_body_and_expect_is_answered(served: Served) -> None:
    with closing(Wire(served)) as wire:
        wire.send(PROXY.replace(b"GET", b"HEAD"))
        code, headers, _ = wire.answer(head_only=True)
        assert (code, int(headers["content-length"]) > 100) == (429, True)
        wire.send(JSON.replace(b"Host: x", b"Expect: 100-continue")[: -len(BODY)])
        assert wire.answer()[0] == 100
        wire.send(BODY)
        assert wire.answer()[0] == 200


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /check HTTP/2.0\r\n\r\n", 505),
        (b"GET /check HTTP/1.1\r\nName : x\r\n\r\n", 400),
        (b"GET /check HTTP/1.1\r\nName: x\r\n folded\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\n\n0\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;\nx\r\n{}\r\n0\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nName: x\n\nGET\r\n\r\n", 400),
        (b"POST /check HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"GET /check\nName: x HTTP/1.1\r\n\r\n", 400),
        (b"POST /check HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", 413),
        (b"POST /check HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + b"x" * 65_537, 413),
        (b"GET /check HTTP/1.1\r\nName: " + b"x" * 33_000, 431),
    ],
)
def test_what_is_not_clear_is_refused_and_the_connection_ends(served: Served, request_: bytes, code: int) -> None:
    with closing(Wire(served)) as wire:
        wire.send(request_)
        found, headers, body = wire.answer()
        assert (found, headers["connection"]) == (code, "close")
        assert json.loads(body)["error"]
        assert wire.answer()[0] == 0


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"user_id": "\\ud800"}', b'{"team_id": 1}'])
def test_a_question_that_cannot_be_read_is_the_askers_mistake(served: Served, body: bytes) -> None:
    code, _, told = served.ask(body=body)
    assert (code, bool(told["error"])) == (400, True)


def test_a_header_that_is_no_text_is_refused(served: Served) -> None:
    with closing(Wire(served)) as wire:
        wire.send(PROXY.replace(b"hard", b"\xff\xfe"))
        assert wire.answer()[0] == 400


def test_a_question_in_single_bytes_is_not_waited_for_but_a_body_that_nobody_reads_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "PARTIAL_S", 0.4)
    slow, unread = JSON[:-4], PROMPT[: PROMPT.index(b"\r\n\r\n") + 4]
    with (
        serving(known_of([BUDGET], [])) as served,
        closing(Wire(served)) as question,
        closing(Wire(served)) as prompt,
    ):
        prompt.send(unread)
        assert prompt.answer()[0] == 200
        began = time.monotonic()
        for number in itertools.count():
            prompt.send(b"x" if number < len(PROXY) - 1 else b"")
            try:
                question.send(slow[number : number + 1])
            except OSError:
                break
            if question.ended(0.02):
                break
            assert time.monotonic() < began + 20, "a byte now and then keeps a connection for ever"
        prompt.send(b"x" * max(0, len(PROXY) - 1 - number))
        assert not prompt.ended(0.1)


def test_another_path_is_not_there(served: Served) -> None:
    assert served.ask("/metrics")[0] == 404
    assert served.ask("/checks")[0] == 404


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_head_is_parsed_or_refused(head: bytes) -> None:
    with suppress(Malformed):
        assert parse_head(head).method

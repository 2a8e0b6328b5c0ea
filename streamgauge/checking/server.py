"""In: HTTP requests of gateways. Out: answers, as JSON and as status codes and headers for proxies.

`POST /check` with a JSON question: 200 and the answer, whatever it is. Every other request to `/check` or below it is a
proxy's: the question stands in `X-Streamgauge-…` headers or the query, and the status code is the answer. Bodies of
such requests are not read: they would be somebody's prompt.

| decision | code |
|---|---|
| allow, warn | 200 |
| needs_acknowledgement, or stopped by a policy or for not knowing | 403 |
| stopped by a budget | 429 with `Retry-After` |

`?deny=403` gives one code for every refusal: nginx passes on no other.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Final

from runtime.clock import Clock
from runtime.metrics import CheckMetrics
from streamgauge.checking.answer import NOT_A_LOCK, Answer
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.http import HttpServer
from streamgauge.checking.http_head import Reply, Request
from streamgauge.checking.judge import Known, answer
from streamgauge.checking.question import BadQuestion, Question, from_json, from_request

#: Questions held as they were read: gateways ask the same again and again.
_HELD: Final = 2_048
_ABSENT: Final = Reply(404, b'{"error": "ask at /check, or below it"}')


class CheckServer:
    """The HTTP face; `known` is asked once for each question."""

    def __init__(self, known: Callable[[], Known], config: CheckConfig, clock: Clock, metrics: CheckMetrics) -> None:
        self._known, self._config, self._clock, self._metrics = known, config, clock, metrics
        self._read: dict[bytes, Question] = {}

    def http(self) -> HttpServer:
        """The server, for the running event loop."""
        return HttpServer(self)

    def wants_body(self, method: str, path: str) -> bool:
        """Only that of a JSON question."""
        return method == "POST" and path == "/check"

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        began = self._clock.monotonic()
        if request.path != "/check" and not request.path.startswith("/check/"):
            return _ABSENT
        refused = self._refuse_stranger(request)
        if refused is not None:
            return refused
        try:
            return self._of_json(request.body, began) if request.body else self._of_proxy(request, began)
        except BadQuestion as error:
            self._metrics.refused.labels("question").inc()
            return _json({"error": str(error)}, 400)

    def _of_json(self, body: bytes, began: float) -> Reply:
        question = self._read.get(body)
        if question is None:
            question = from_json(body)
            if len(self._read) >= _HELD:
                self._read.clear()
            self._read[body] = question
        return self._tell(answer(question, self._known(), self._config, self._clock.now_us()), 200, began)

    def _of_proxy(self, request: Request, began: float) -> Reply:
        """Below /check stands the caller's own path, and what its query says is not meant for us."""
        own = request.path == "/check"
        query = request.query if own else []
        question = from_request([(name, value) for name, value in query if name != "deny"], request.headers)
        told = answer(question, self._known(), self._config, self._clock.now_us())
        deny = next((value for name, value in query if name == "deny"), None)
        return self._tell(told, _code(told, deny), began)

    def _refuse_stranger(self, request: Request) -> Reply | None:
        token = self._config.token
        if token is None:
            return None
        brought = request.header("authorization") or ""
        if hmac.compare_digest(brought.encode("utf-8", "replace"), f"Bearer {token}".encode()):
            return None
        self._metrics.refused.labels("token").inc()
        return _json({"error": "this check asks for `Authorization: Bearer …` with its setting check.password"}, 401)

    def _tell(self, told: Answer, code: int, began: float) -> Reply:
        fresh = told.freshness
        behind = "unknown" if fresh.read_behind_s is None else str(fresh.read_behind_s)
        headers = [
            ("X-Streamgauge-Decision", told.decision),
            ("X-Streamgauge-Reason", told.headline),
            ("X-Streamgauge-Freshness", f"read_behind_s={behind}; stale={'yes' if fresh.stale else 'no'}"),
            ("X-Streamgauge-Note", NOT_A_LOCK),
            ("Cache-Control", "no-store"),
        ]
        if told.retry_after_s is not None:
            headers.append(("Retry-After", str(told.retry_after_s)))
        self._metrics.answers.labels(told.decision).inc()
        self._metrics.seconds.observe(self._clock.monotonic() - began)
        return Reply(code, json.dumps(told.as_json()).encode(), tuple(headers))


def _json(told: dict[str, str], code: int) -> Reply:
    return Reply(code, json.dumps(told).encode())


def _code(told: Answer, deny: str | None) -> int:
    if deny not in (None, "403"):
        raise BadQuestion(f"deny is {deny!r}; accepted is 403: one code for every refusal")
    if told.decision in ("allow", "warn"):
        return 200
    by_budget = any(reason.kind == "budget" and reason.decision == "stop" for reason in told.reasons)
    return 429 if by_budget and deny is None else 403

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

from aiohttp import web

from runtime.clock import Clock
from runtime.metrics import CheckMetrics
from streamgauge.checking.answer import NOT_A_LOCK, Answer
from streamgauge.checking.config import CheckConfig
from streamgauge.checking.judge import Known, answer
from streamgauge.checking.question import BadQuestion, from_json, from_request

#: A question has some hundred bytes.
MAX_BODY: Final = 64 * 1024


class CheckServer:
    """The HTTP face; `known` is asked once for each question."""

    def __init__(self, known: Callable[[], Known], config: CheckConfig, clock: Clock, metrics: CheckMetrics) -> None:
        self._known, self._config, self._clock, self._metrics = known, config, clock, metrics

    def application(self) -> web.Application:
        """The routes, for an aiohttp runner."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/check", self._post)
        app.router.add_route("*", "/check", self._ask)
        app.router.add_route("*", "/check/{rest:.*}", self._ask)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        """A JSON question; without a body it is a proxy's."""
        if not request.can_read_body:
            return await self._ask(request)
        began = self._clock.monotonic()
        refused = self._refuse_stranger(request)
        if refused is not None:
            return refused
        try:
            told = answer(from_json(await request.read()), self._known(), self._config, self._clock.now_us())
        except BadQuestion as error:
            return self._bad(error)
        return self._tell(told, 200, began)

    async def _ask(self, request: web.Request) -> web.Response:
        """A proxy's question."""
        began = self._clock.monotonic()
        refused = self._refuse_stranger(request)
        if refused is not None:
            return refused
        try:
            query = [(name, value) for name, value in request.query.items() if name != "deny"]
            # Below /check stands the caller's own path, and what its query says is not meant for us.
            own = request.path == "/check"
            question = from_request(query if own else (), request.headers.items())
            told = answer(question, self._known(), self._config, self._clock.now_us())
            return self._tell(told, _code(told, request.query.get("deny") if own else None), began)
        except BadQuestion as error:
            return self._bad(error)

    def _refuse_stranger(self, request: web.Request) -> web.Response | None:
        token = self._config.token
        if token is None:
            return None
        brought = request.headers.get("Authorization", "")
        if hmac.compare_digest(brought.encode("utf-8", "replace"), f"Bearer {token}".encode()):
            return None
        self._metrics.refused.labels("token").inc()
        return web.json_response(
            {"error": "this check asks for `Authorization: Bearer …` with its setting check.password"},
            status=401,
        )

    def _bad(self, error: BadQuestion) -> web.Response:
        self._metrics.refused.labels("question").inc()
        return web.json_response({"error": str(error)}, status=400)

    def _tell(self, told: Answer, code: int, began: float) -> web.Response:
        fresh = told.freshness
        behind = "unknown" if fresh.read_behind_s is None else str(fresh.read_behind_s)
        headers = {
            "X-Streamgauge-Decision": told.decision,
            "X-Streamgauge-Reason": told.headline,
            "X-Streamgauge-Freshness": f"read_behind_s={behind}; stale={'yes' if fresh.stale else 'no'}",
            "X-Streamgauge-Note": NOT_A_LOCK,
            "Cache-Control": "no-store",
        }
        if told.retry_after_s is not None:
            headers["Retry-After"] = str(told.retry_after_s)
        response = web.Response(
            text=json.dumps(told.as_json()), status=code, headers=headers, content_type="application/json"
        )
        self._metrics.answers.labels(told.decision).inc()
        self._metrics.seconds.observe(self._clock.monotonic() - began)
        return response


def _code(told: Answer, deny: str | None) -> int:
    if deny not in (None, "403"):
        raise BadQuestion(f"deny is {deny!r}; accepted is 403: one code for every refusal")
    if told.decision in ("allow", "warn"):
        return 200
    by_budget = any(reason.kind == "budget" and reason.decision == "stop" for reason in told.reasons)
    return 429 if by_budget and deny is None else 403

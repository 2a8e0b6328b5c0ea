"""In: a call that LiteLLM's proxy is about to make. Out: the call, or an error naming the budget or policy against it.

Copy it beside the proxy's config and name it there (see config.yaml). It asks `streamgauge check serve`:

    STREAMGAUGE_CHECK_URL       http://127.0.0.1:8450/check
    STREAMGAUGE_CHECK_TOKEN     the password of its setting check.password, where it has one
    STREAMGAUGE_CHECK_TIMEOUT   seconds to wait for an answer, 0.25

It fails open: without an answer in time the call goes on and the proxy's log says so. Team, person and key are those
that the proxy authenticated; what a call tells of itself in `metadata` (use case, workflow, …) are claims, and the
directory outvotes them.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import aiohttp
from fastapi import HTTPException  # type: ignore[import-not-found]
from litellm.integrations.custom_logger import CustomLogger  # type: ignore[import-not-found]

_log = logging.getLogger("streamgauge.check")

URL = os.environ.get("STREAMGAUGE_CHECK_URL", "http://127.0.0.1:8450/check")
TOKEN = os.environ.get("STREAMGAUGE_CHECK_TOKEN")
TIMEOUT_S = float(os.environ.get("STREAMGAUGE_CHECK_TIMEOUT", "0.25"))
#: What a caller may say of a call in its `metadata`.
CLAIMS = ("project_id", "use_case", "workflow", "stage", "data_class", "approval")


class StreamgaugeCheck(CustomLogger):  # type: ignore[misc]
    """Asks before every call. One instance lives as long as the proxy."""

    def __init__(self) -> None:
        super().__init__()
        self._session: aiohttp.ClientSession | None = None

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """HTTPException where the answer is stop (429 with Retry-After, or 403) or needs_acknowledgement (403)."""
        del cache, call_type
        answer = await self._ask(question(user_api_key_dict, data))
        decision = answer.get("decision", "allow")
        reasons = [reason["text"] for reason in answer.get("reasons", ()) if reason["decision"] == decision]
        if decision in ("stop", "needs_acknowledgement"):
            retry_after = answer.get("retry_after")
            by_budget = any(reason["kind"] == "budget" and reason["decision"] == "stop" for reason in answer["reasons"])
            raise HTTPException(
                status_code=429 if by_budget else 403,
                detail={"error": {"type": f"streamgauge_{decision}", "message": " ".join(reasons)}},
                headers=None if retry_after is None else {"Retry-After": str(retry_after)},
            )
        if decision == "warn":
            _log.warning("call goes on with a warning: %s", " ".join(reasons))
        return data

    async def _ask(self, asked: dict[str, str]) -> dict[str, Any]:
        if self._session is None:
            headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
            self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.post(URL, json=asked) as response:
                answer: dict[str, Any] = await response.json()
                if response.status == 200:
                    return answer
                _log.error("streamgauge does not take the question, so the call goes on: %s", answer.get("error"))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            _log.error("streamgauge does not answer, so the call goes on: %r", error)
        return {}


def question(key: Any, data: dict[str, Any]) -> dict[str, str]:
    """What is known of a call, by the fields of a question; what is not known is left out."""
    metadata = data.get("metadata") or {}
    told = metadata.get("requester_metadata") or metadata
    known = {
        "source": "litellm",
        "team_id": key.team_alias or key.team_id,
        "user_id": key.user_id,
        "credential_id": key.key_alias,
        "model": data.get("model"),
        **{name: told.get(name) for name in CLAIMS},
    }
    return {name: value for name, value in known.items() if isinstance(value, str) and value}


check = StreamgaugeCheck()

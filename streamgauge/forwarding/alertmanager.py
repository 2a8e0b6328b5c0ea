"""In: alerts as Alertmanager's API v2 takes them. Out: nothing once it has them; else why not, and whether waiting
helps.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from streamgauge.forwarding.config import ForwardConfig

_PATH: Final = "/api/v2/alerts"
#: What a wrong setting or a proxy in between causes, whatever is posted: a person mends it, and nothing is lost.
_NOT_THE_ALERT: Final = {
    401: "it does not let us in: check forward.username and STREAMGAUGE_FORWARD__PASSWORD, or "
    "STREAMGAUGE_FORWARD__TOKEN",
    403: "it does not let us in: check forward.username and STREAMGAUGE_FORWARD__PASSWORD, or "
    "STREAMGAUGE_FORWARD__TOKEN",
    404: "there is no API v2 of Alertmanager: check forward.url and its path prefix",
    405: "there is no API v2 of Alertmanager: check forward.url and its path prefix",
    407: "a proxy in between wants a login",
    408: "it took too long",
    421: "check forward.url: this server is another",
    425: "it asks to come again",
    429: "it asks to wait",
}
_MUCH: Final = 2_000


class Away(RuntimeError):
    """It cannot be reached, is not well, or does not let us in: to be tried again with the same alerts."""


class Refused(RuntimeError):
    """It answers, and does not take this content."""


class Receiver(Protocol):
    """Whoever takes alerts. `post` returns once all of them are taken; Away or Refused. Posting twice is harmless."""

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None: ...


class Alertmanager:
    """One connection a request: they are rare, and an idle one would be dropped by whoever stands in between."""

    def __init__(self, config: ForwardConfig) -> None:
        """OSError when the trust root cannot be read."""
        parts = urlsplit(config.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/") + _PATH
        self._url, self._timeout_s = config.url, config.timeout_s
        self._context = ssl.create_default_context(cafile=config.ca_file) if parts.scheme == "https" else None
        self._headers = {"Content-Type": "application/json", "User-Agent": "streamgauge-forward"}
        if config.token is not None:
            self._headers["Authorization"] = f"Bearer {config.token}"
        elif config.username is not None:
            login = base64.b64encode(f"{config.username}:{config.password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Away or Refused. An answer that is lost counts as away: the same is posted again."""
        body = json.dumps(alerts, ensure_ascii=False).encode()
        connection = self._connect()
        try:
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read(_MUCH).decode(errors="replace").strip()
            status, to = answer.status, answer.getheader("Location")
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"Alertmanager at {self._url} does not answer ({_reason(error)})") from error
        finally:
            connection.close()
        if 200 <= status < 300:
            return
        told = f"Alertmanager at {self._url} answers {status}"
        if 300 <= status < 400:
            raise Away(f"{told}: it stands elsewhere ({to or 'it does not say where'}): set forward.url to that")
        if status >= 500:
            raise Away(f"{told}: {said[:300]}")
        if status in _NOT_THE_ALERT:
            raise Away(f"{told}: {_NOT_THE_ALERT[status]}")
        raise Refused(f"{told}: {said[:500]}")

    def _connect(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__

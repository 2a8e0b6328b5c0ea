"""In: a Health and a metrics registry. Out: the role's own HTTP on a thread: `/live`, `/ready` and `/metrics`.

`/live` and `/ready` answer 200 or 503 with the reason as JSON, for Kubernetes, Compose and people with curl.
"""

from __future__ import annotations

import errno
import json
import threading
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from runtime.health import Health, Verdict

_PATHS: Final = "/live, /ready, /metrics"


class EndpointError(RuntimeError):
    """The port cannot be listened on; the message names it and the way out."""


class Endpoint:
    """Serves until `stop`; `with Endpoint(...)` starts and stops it. `port` 0 takes a free one, see `port`
    afterwards.
    """

    def __init__(self, health: Health, registry: CollectorRegistry, host: str, port: int) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise EndpointError(
                    f"port {port} of {host} for health and metrics is in use: "
                    "set http.port to a free one, or to 0 for none"
                ) from error
            raise EndpointError(f"health and metrics cannot listen on {host}:{port}: {error.strerror}") from error
        self._server.health, self._server.registry = health, registry
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: Health
    registry: CollectorRegistry


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0].rstrip("/")
        if path == "/live":
            self._verdict(self.server.health.liveness())
        elif path == "/ready":
            self._verdict(self.server.health.readiness())
        elif path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
        else:
            self._answer(404, "text/plain", f"{self.path} is not here; there are {_PATHS}\n".encode())

    def _verdict(self, verdict: Verdict) -> None:
        body = json.dumps(asdict(verdict)).encode() + b"\n"
        self._answer(200 if verdict.ok else 503, "application/json", body)

    def _answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a probe every few seconds is not news."""

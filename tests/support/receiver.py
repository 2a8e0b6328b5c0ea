"""A local receiver of webhooks: it keeps what it is posted and answers as the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Answer = Callable[[Any], tuple[int, str]]


def _fine(_body: Any) -> tuple[int, str]:
    return 200, ""


class LocalReceiver:
    """`with LocalReceiver() as receiver:`; `answer` gives status and text for a body. A closed `gate` holds every
    answer back until it is opened.
    """

    def __init__(self) -> None:
        self.answer: Answer = _fine
        self.gate = threading.Event()
        self.gate.set()
        #: (path, Authorization, body) of every request, in order of arrival.
        self.requests: list[tuple[str, str | None, Any]] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receiver._lock:
                    receiver.requests.append((self.path, self.headers.get("Authorization"), body))
                receiver.gate.wait(30)
                status, text = receiver.answer(body)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", text)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed meanwhile is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        with self._lock:
            return [body for _, _, body in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

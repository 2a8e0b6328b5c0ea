"""In: nothing. Out: a schema registry on loopback that answers what our client asks, over real HTTP, in memory.

`down` makes it answer 500 to everything; `login` makes it want a name and a password.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote


class FakeRegistry:
    """`with FakeRegistry() as registry:` gives `registry.url`."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.schemas: list[str] = []
        self.subjects: dict[str, list[int]] = {}
        self.levels: dict[str, str] = {}
        self.down = False
        self.calls: list[str] = []
        self.authorization = None if login is None else "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, text: str) -> int:
        """Register a schema under no subject; its id, from 1."""
        if text not in self.schemas:
            self.schemas.append(text)
        return self.schemas.index(text) + 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def answer(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        """Status and JSON of one call."""
        match method, parts:
            case "GET", ["schemas", "ids", text]:
                if 1 <= int(text) <= len(self.schemas):
                    return 200, {"schema": self.schemas[int(text) - 1]}
                return 404, {"error_code": 40403, "message": f"Schema {text} not found."}
            case "GET", ["subjects", name, "versions", "latest"]:
                ids = self.subjects.get(name)
                if not ids:
                    return 404, {"error_code": 40401, "message": f"Subject '{name}' not found."}
                return 200, {"subject": name, "id": ids[-1], "version": len(ids), "schema": self.schemas[ids[-1] - 1]}
            case "POST", ["subjects", name, "versions"]:
                number = self.add(body["schema"])
                ids = self.subjects.setdefault(name, [])
                if number not in ids:
                    ids.append(number)
                return 200, {"id": number}
            case "GET", ["config", name]:
                if name not in self.levels:
                    return 404, {"error_code": 40408, "message": f"Subject '{name}' does not have a level of its own."}
                return 200, {"compatibilityLevel": self.levels[name]}
            case "PUT", ["config", name]:
                self.levels[name] = body["compatibility"]
                return 200, body
            case _:
                return 405, {"error_code": 405, "message": f"{method} {parts} is not played"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: FakeRegistry


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        registry = self.server.registry
        registry.calls.append(f"{self.command} {self.path}")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if registry.down:
            code, answer = 500, {"error_code": 50001, "message": "the store is away"}
        elif registry.authorization not in (None, self.headers.get("Authorization")):
            code, answer = 401, {"error_code": 401, "message": "Unauthorized"}
        else:
            code, answer = registry.answer(self.command, [unquote(part) for part in self.path.split("/")[1:]], body)
        payload = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

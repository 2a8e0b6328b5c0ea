"""In: the port of a ClickHouse. Out: a port before it that refuses, hangs, is slow, cuts answers or fails with a code,
as it is told, and passes everything on otherwise.

A fault holds for requests that match `only`, a regular expression searched in the request's address and the beginning
of its body; other requests pass. Errors are answered as ClickHouse does: HTTP 500, the code in a header, a sentence.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal, Self
from urllib.parse import unquote_plus

#: `hang`: the request is read and never answered, nor given to ClickHouse. `half`: no more than the head and a part of
#: the body is read. `hold`: ClickHouse gets it and its answer is kept back. `slow`: it is answered after `seconds`.
#: `cut`: half of an answer comes, after ClickHouse has done what was asked. `drop`: nothing of it comes. `code`: an
#: exception.
Kind = Literal["hang", "half", "hold", "slow", "cut", "drop", "code"]
INSERTS: Final = "INSERT INTO"
EVENTS: Final = "INSERT INTO usage_events_raw"
LEDGER: Final = "INSERT INTO usage_ledger"


@dataclass(frozen=True, slots=True)
class Fault:
    """`times`: for so many matching requests, then none. `after`: so many matching requests pass first."""

    kind: Kind
    only: str = ""
    times: int | None = None
    after: int = 0
    seconds: float = 0.0
    code: int = 0
    name: str = ""


class FaultyDoor:
    """`with FaultyDoor(port) as door:` gives `door.port`; `fault`, `refuse` and `heal` change what it does at once."""

    def __init__(self, target_port: int) -> None:
        self.target_port: Final = target_port
        self._changed = threading.Condition()
        self._fault: Fault | None = None
        self._matched = 0
        #: How many requests met the fault that was set last.
        self.met = 0
        self._server: _Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    def fault(self, fault: Fault) -> None:
        """From now on; `met` begins at 0."""
        with self._changed:
            self._fault, self._matched, self.met = fault, 0, 0
            self._changed.notify_all()
        self._open()

    def heal(self) -> None:
        """Pass everything on. Who still waits for an answer that was kept back loses the connection."""
        with self._changed:
            self._fault = None
            self._changed.notify_all()
        self._open()

    def refuse(self) -> None:
        """Nobody listens on the port; the number stays the same."""
        with self._changed:
            self._fault = None
            self._changed.notify_all()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def await_met(self, count: int = 1, deadline_s: float = 60.0) -> None:
        """Wait until so many requests have met the fault."""
        with self._changed:
            there = self._changed.wait_for(lambda: self.met >= count, deadline_s)
        assert there, f"{self.met} requests met the fault {self._fault}, not {count}"

    def take(self, text: str) -> Fault | None:
        """The fault that this request meets."""
        with self._changed:
            fault = self._fault
            if fault is None or re.search(fault.only, text) is None:
                return None
            self._matched += 1
            if self._matched <= fault.after or (fault.times is not None and self.met >= fault.times):
                return None
            return fault

    def meet(self) -> None:
        with self._changed:
            self.met += 1
            self._changed.notify_all()

    def await_change(self, fault: Fault) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._fault is not fault)

    def _open(self) -> None:
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), _Handler)
            self._server.door = self
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    door: FaultyDoor

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left, or was killed, is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        door = self.server.door
        self.close_connection = True
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, 200))
        fault = door.take(unquote_plus(self.path) + body.decode("latin-1"))
        if fault is not None and fault.kind == "half":
            door.meet()
            door.await_change(fault)
            return
        body += self.rfile.read(length - len(body))
        if fault is None:
            self._answer(self._ask(body))
        elif fault.kind == "hang":
            door.meet()
            door.await_change(fault)
        elif fault.kind == "code":
            self._fail(fault)
            door.meet()
        else:
            if fault.kind == "slow":
                time.sleep(fault.seconds)
            given = self._ask(body)
            if fault.kind == "slow":
                self._answer(given)
            elif fault.kind == "cut":
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: cut\r\nContent-Length: 100\r\n\r\nhalf of it"
                )
            door.meet()
            if fault.kind == "hold":
                door.await_change(fault)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.door.target_port, timeout=60)
        with contextlib.closing(connection):
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, given: tuple[int, list[tuple[str, str]], bytes]) -> None:
        status, headers, body = given
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, fault: Fault) -> None:
        name = fault.name or "SOME_ERROR"
        body = f"Code: {fault.code}. DB::Exception: Said by the faulty door. ({name}) (version 26.9.1.1)\n".encode()
        self.send_response(500)
        self.send_header("X-ClickHouse-Exception-Code", str(fault.code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

"""In: the bytes of a connection. Out: each request in it to a handler, and the handler's reply as bytes.

HTTP/1.1 (and 1.0) as gateways speak it to a server beside them: kept-alive and pipelined requests, bodies with a length
or in chunks, `Expect: 100-continue`. A web framework takes three times as long for a request as judging it does, and on
a busy machine what a process uses is what it waits for. Left out: TLS, compression, upgrades, ranges, answers in parts.
What is not clearly well-formed is refused, and its connection closed.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, Protocol

import structlog

from streamgauge.checking.http_head import Head, Malformed, Reply, Request, parse_head

_log = structlog.get_logger("check")

MAX_HEAD: Final = 32 * 1024
#: A question has some hundred bytes.
MAX_BODY: Final = 64 * 1024
#: A question that has begun to come is waited for so long, and so is the next piece of a body that nobody reads; a
#: connection at rest much longer.
PARTIAL_S: Final = 30.0
IDLE_S: Final = 3_600.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Handler(Protocol):
    """Whoever answers; both are called on the event loop and must not block."""

    def wants_body(self, method: str, path: str) -> bool: ...

    def answer(self, request: Request) -> Reply: ...


class Connection(asyncio.Protocol):
    """One connection. Requests are answered in their order, each before the next is looked at."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler, self._all = handler, connections
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: Head | None = None
        #: What has come of the body, where it is wanted.
        self._body = bytearray()
        self._wanted = False
        #: Bytes of the body, or of the chunk and its line's end, that are still to come; None: a chunk's size is next.
        self._left: int | None = 0
        #: Behind the last chunk: lines up to an empty one.
        self._trailing = False
        self._heard_at = time.monotonic()
        #: When the request began that is still to be judged.
        self._since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self._all.discard(self)

    def pause_writing(self) -> None:
        """Nobody reads the answers: no more questions are taken until somebody does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        self._buffer += data
        try:
            while self._transport is not None and not self._transport.is_closing() and self._step():
                pass
        except Malformed as bad:
            text = str(bad).encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
            self._send(Reply(bad.code, f'{{"error": "{text}"}}'.encode()), None)
        if self._since is None and (self._buffer if self._head is None else self._wanted):
            self._since = self._heard_at

    def close_if_silent(self, now: float) -> None:
        """Let go of a connection that has been waited for long enough, and of a request that comes by single bytes."""
        if self._transport is None:
            return
        waited = now - self._heard_at
        if self._transport.is_closing():
            # Whoever does not take the last answer goes without it.
            if waited > PARTIAL_S:
                self._transport.abort()
        elif waited > (PARTIAL_S if self._head else IDLE_S) or (
            self._since is not None and now - self._since > PARTIAL_S
        ):
            self._transport.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _step(self) -> bool:
        """Take one part of what has come. False: more must come first."""
        if self._head is None:
            return self._take_head()
        return self._take_length() if self._head.length is not None else self._take_chunk()

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(self._buffer) > MAX_HEAD:
                raise Malformed(431, f"the head of a request has at most {MAX_HEAD} bytes")
            return False
        head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._wanted = self._handler.wants_body(head.method, head.path)
        if self._wanted and (head.length or 0) > MAX_BODY:
            raise Malformed(413, f"a question has at most {MAX_BODY} bytes")
        self._left, self._trailing = head.length, False
        if head.expects and head.length != 0 and self._transport is not None:
            self._transport.write(_CONTINUE)
        self._head = head
        if not self._wanted:
            self._since = None
            self._reply(head, None)
        return self._end() if head.length == 0 else True

    def _take_length(self) -> bool:
        assert self._left is not None
        part = self._buffer[: self._left]
        del self._buffer[: len(part)]
        self._left -= len(part)
        self._keep(part)
        return self._end() if self._left == 0 else False

    def _take_chunk(self) -> bool:
        if self._left is None:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise Malformed(400, "a chunk of the body has no size")
                return False
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            if b"\n" in line or b"\r" in line:
                raise Malformed(400, "a line of a body in chunks ends with CR LF")
            if self._trailing:
                return self._end() if not line else True
            size = line.partition(b";")[0].strip()
            if not size or len(size) > 15 or not all(one in b"0123456789abcdefABCDEF" for one in size):
                raise Malformed(400, "the size of a chunk of the body cannot be read")
            self._trailing = int(size, 16) == 0
            self._left = None if self._trailing else int(size, 16) + 2
            return True
        part = self._buffer[: self._left]
        if not part:
            return False
        del self._buffer[: len(part)]
        # The last two bytes are the end of the line behind the chunk, which may come in two parts.
        inside, missing = max(0, self._left - 2), b"\r\n"[-min(2, self._left) :]
        if not missing.startswith(part[inside:]):
            raise Malformed(400, "a chunk of the body is longer than its size says")
        self._keep(part[:inside])
        self._left = self._left - len(part) or None
        return True

    def _keep(self, part: bytearray) -> None:
        if self._wanted:
            self._body += part
            if len(self._body) > MAX_BODY:
                raise Malformed(413, f"a question has at most {MAX_BODY} bytes")

    def _end(self) -> bool:
        """The request is complete."""
        head, body = self._head, bytes(self._body)
        self._head, self._since = None, None
        self._body.clear()
        if head is not None and self._wanted:
            self._reply(head, body)
        return True

    def _reply(self, head: Head, body: bytes | None) -> None:
        try:
            reply = self._handler.answer(Request(head.method, head.path, head.query, head.headers, body))
        except Exception:  # noqa: BLE001
            # One question must not end the process: the asker is told, and the log has the rest.
            _log.exception("check.failed", method=head.method, path=head.path)
            reply, head.keep = Reply(500, b'{"error": "this question could not be answered: see the log"}'), False
        self._send(reply, head)

    def _send(self, reply: Reply, head: Head | None) -> None:
        """`head`: None where there is none that can be answered: then the connection ends."""
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {reply.code} {HTTPStatus(reply.code).phrase}", f"Date: {_date(int(time.time()))}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        keep = head is not None and head.keep
        if not keep:
            lines.append("Connection: close")
        lines.append(f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(reply.body)}\r\n\r\n")
        content = b"" if head is not None and head.method == "HEAD" else reply.body
        self._transport.write("\r\n".join(lines).encode("ascii", "replace") + content)
        if not keep:
            self._transport.close()


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class HttpServer:
    """Listens, and lets go of connections that nobody uses."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen on the running event loop; the port. OSError where that cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._handler, self._connections), host, port)
        self._sweep(loop)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening; what was answered is still sent."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.close()
            await self._server.wait_closed()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for connection in tuple(self._connections):
            connection.close_if_silent(now)
        self._sweeping = loop.call_later(PARTIAL_S / 2, self._sweep, loop)

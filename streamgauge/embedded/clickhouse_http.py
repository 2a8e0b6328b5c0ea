"""In: HTTP requests as ClickHouse's clients send them. Out: what ClickHouse's HTTP interface answers.

Served are `/ping`, `/replicas_status` and queries at `/`: text in the address, the body or both, parameters, settings,
formats, compression by Content-Encoding, and ClickHouse's headers and errors. Not served: sessions, external data,
progress headers, and the `compress`/`decompress` framing of ClickHouse's own, in whose place every client has gzip.

Whoever reaches the port may read: users `default`, `analyst` or none, without a password. Only `writer` has a password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
import hmac
import json
import uuid
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from aiohttp import web

from streamgauge.embedded.clickhouse_engine import Answer, Engine, EngineError, Principal, Request
from streamgauge.embedded.clickhouse_native import UnsupportedTypeError, for_protocol

WRITER: Final = "writer"
READERS: Final = frozenset({"", "default", "analyst"})
#: A slow query keeps one of these busy and no insert waiting: inserts have threads of their own.
_READ_THREADS: Final = 4
_WRITE_THREADS: Final = 4
_MAX_BODY: Final = 1 << 30
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

#: What the address says beside settings: taken by the HTTP interface itself, or without meaning here.
_OWN: Final = frozenset(
    {
        *("query", "user", "password", "database", "default_format", "query_id", "quota_key", "role", "stacktrace"),
        *(
            "session_id",
            "session_timeout",
            "session_check",
            "compress",
            "decompress",
            "buffer_size",
            "wait_end_of_query",
        ),
        *("client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        *("enable_http_compression", "http_zlib_compression_level", "close_session"),
    }
)

_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": lambda data: data,
    "identity": lambda data: data,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "gzip": lambda data: gzip.compress(data, 3),
    "deflate": lambda data: zlib.compress(data, 3),
}
_CONTENT_TYPES: Final = {
    "json": "application/json; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8",
    "tab": "text/tab-separated-values; charset=UTF-8",
    "tsv": "text/tab-separated-values; charset=UTF-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "native": "application/octet-stream",
}
_NOT_FOUND: Final = frozenset({46, 47, 50, 56, 60, 73, 81, 115})
_BAD_REQUEST: Final = frozenset({6, 26, 27, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 158, 179, 386, 456})
_STATUS: Final = {159: 408, 202: 503, 203: 503, 209: 503, 439: 503, 48: 501, 497: 403, 516: 403}


class Server:
    """The HTTP interface of one engine. `application` is what aiohttp serves."""

    def __init__(self, engine: Engine, writer_password: str) -> None:
        self._engine = engine
        self._password = writer_password
        self._readers = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, thread_name_prefix="write")
        self.application = web.Application(client_max_size=_MAX_BODY)
        self.application.add_routes(
            [
                web.get("/ping", self._ping),
                web.get("/replicas_status", self._ping),
                web.get("/", self._query),
                web.post("/", self._query),
            ]
        )
        self.application.on_cleanup.append(self._close)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.Response:
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        try:
            asked = await self._asked(request)
            if not asked.text.strip():
                return web.Response(text="Ok.\n")
            pool = self._writers if asked.principal == "writer" else self._readers
            answer = await asyncio.get_running_loop().run_in_executor(pool, self._answer, asked, request)
        except EngineError as error:
            return self._failed(error, query_id)
        return self._answered(request, answer, query_id)

    def _answer(self, asked: Request, request: web.Request) -> Answer:
        """In a worker thread: run, and put the bytes into the form and the compression that the client reads."""
        answer = self._engine.run(asked)
        body = answer.body
        version = request.query.get("client_protocol_version", "")
        if version.isdigit() and (answer.format or "").lower() == "native":
            try:
                body = for_protocol(body, int(version))
            except UnsupportedTypeError as error:
                raise self._error(50, f"{error} (UNKNOWN_TYPE)") from None
        encoding = _wanted_encoding(request)
        if encoding:
            body = _ENCODERS[encoding](body)
        return Answer(
            body,
            answer.format,
            answer.read_rows,
            answer.read_bytes,
            answer.written_rows,
            answer.written_bytes,
            answer.elapsed_s,
        )

    async def _asked(self, request: web.Request) -> Request:
        """The request as one value. EngineError for what it may not be."""
        if request.host.rsplit(":", 1)[0] not in _HOSTS:
            # A web page that resolves its own name to this machine must not read through the visitor's browser.
            raise self._error(
                516, f"the address names {request.host!r}: use 127.0.0.1 or localhost. (AUTHENTICATION_FAILED)"
            )
        principal = self._principal(request)
        given = dict(request.query)
        if request.content_type == "multipart/form-data":
            form = await request.post()
            if any(not isinstance(value, str) for value in form.values()):
                raise self._error(
                    48, "External data is not served here: insert it or write it into the query. (NOT_IMPLEMENTED)"
                )
            given |= {name: str(value) for name, value in form.items()}
            body = b""
        else:
            body = await self._body(request)
        for framing in ("compress", "decompress"):
            if given.get(framing, "0") not in ("0", ""):
                raise self._error(
                    48, f"{framing}=1 is not served here: use gzip, zstd or lz4 of HTTP. (NOT_IMPLEMENTED)"
                )
        query = given.get("query", "").encode()
        settings = {name: value for name, value in given.items() if name not in _OWN and not name.startswith("param_")}
        return Request(
            principal=principal,
            text=b"\n".join(part for part in (query, body) if part),
            database=given.get("database", "") or request.headers.get("X-ClickHouse-Database", ""),
            default_format=given.get("default_format", "")
            or request.headers.get("X-ClickHouse-Format", "TabSeparated"),
            settings=settings,
            parameters={name[6:]: value for name, value in given.items() if name.startswith("param_")},
        )

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()
        encoding = request.headers.get("Content-Encoding", "").lower()
        decode = _DECODERS.get(encoding)
        if decode is None:
            raise self._error(
                48, f"Content-Encoding {encoding} is not served here: {', '.join(_ENCODERS)} are. (NOT_IMPLEMENTED)"
            )
        try:
            return decode(body) if body else b""
        except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
            raise self._error(271, f"The body is not {encoding}: {error}. (CANNOT_DECOMPRESS)") from None

    def _principal(self, request: web.Request) -> Principal:
        user, password = request.query.get("user", ""), request.query.get("password", "")
        if "X-ClickHouse-User" in request.headers:
            user, password = request.headers["X-ClickHouse-User"], request.headers.get("X-ClickHouse-Key", "")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                user, password = "?", ""
        if user == WRITER and hmac.compare_digest(password.encode(), self._password.encode()):
            return "writer"
        if user in READERS and not password:
            return "reader"
        raise self._error(
            516,
            f"{user}: Authentication failed: password is incorrect, or there is no user with such name; readers are "
            "`default` and `analyst`, without a password. (AUTHENTICATION_FAILED)",
        )

    def _answered(self, request: web.Request, answer: Answer, query_id: str) -> web.Response:
        summary = {
            "read_rows": answer.read_rows,
            "read_bytes": answer.read_bytes,
            "written_rows": answer.written_rows,
            "written_bytes": answer.written_bytes,
            "total_rows_to_read": 0,
            "result_rows": 0,
            "result_bytes": len(answer.body),
            "elapsed_ns": int(answer.elapsed_s * 1e9),
        }
        headers = self._headers(query_id) | {
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
            "Content-Type": _content_type(answer.format or ""),
        }
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        encoding = _wanted_encoding(request)
        if encoding:
            headers["Content-Encoding"] = encoding
        return web.Response(body=answer.body, headers=headers)

    def _failed(self, error: EngineError, query_id: str) -> web.Response:
        status = _STATUS.get(error.code) or (
            404 if error.code in _NOT_FOUND else 400 if error.code in _BAD_REQUEST else 500
        )
        headers = self._headers(query_id) | {"X-ClickHouse-Exception-Code": str(error.code)}
        return web.Response(status=status, text=f"{error}\n", headers=headers)

    def _headers(self, query_id: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Server-Display-Name": "streamgauge-embedded",
            "X-ClickHouse-Timezone": self._engine.time_zone,
        }

    def _error(self, code: int, sentence: str) -> EngineError:
        return EngineError(code, f"Code: {code}. DB::Exception: {sentence} (version {self._engine.version})")

    async def _close(self, _: web.Application) -> None:
        self._readers.shutdown(cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)


def _wanted_encoding(request: web.Request) -> str:
    """The compression of the answer, if the client asks for one that is known; "" otherwise."""
    if request.query.get("enable_http_compression") != "1":
        return ""
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("Accept-Encoding", "").split(",")]
    return next((encoding for encoding in _ENCODERS if encoding in accepted), "")


def _content_type(output: str) -> str:
    name = output.lower()
    return next(
        (kind for prefix, kind in _CONTENT_TYPES.items() if name.startswith(prefix)), "text/plain; charset=UTF-8"
    )

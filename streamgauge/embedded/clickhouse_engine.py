"""In: a folder. Out: the chdb engine on it: one process at a time, any number of threads, each request on its own
connection.

Measured on chdb 4.4: a connection costs 0.8 ms, connections of one process run in parallel (an insert takes 8 ms beside
a query that keeps both cores busy), and settings belong to their connection. So a request sets what it wants and is
forgotten.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from streamgauge.embedded.clickhouse_gate import FORBIDDEN_SETTINGS, READONLY, Refused, check_read

Principal = Literal["reader", "writer"]

#: What a reader's query may take unless its address says otherwise: a query that hangs must not hold the engine for
#: ever.
READER_LIMITS: Final = {"max_execution_time": "60"}

_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+(?:TABLE\s+)?[^\s(]+\s*(?:\([^()]*\))?)\s*(\bSETTINGS\s+[^\n]*?)?\s*"
    rb"\bFORMAT\s+(\w+)[ \t]*;?\r?\n?",
    re.IGNORECASE,
)
_INLINE: Final = re.compile(r"values", re.IGNORECASE)
_ASKS: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|FROM|CHECK)\b",
    re.IGNORECASE | re.DOTALL,
)
_FORMAT: Final = re.compile(r"\bFORMAT\s+(\w+)\s*(?:\bSETTINGS\b[^;]*)?;?\s*$", re.IGNORECASE)
_NAME: Final = re.compile(r"\w+")


class EngineError(Exception):
    """ClickHouse's own error: `code` and its text, "Code: 60. DB::Exception: …"."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class FolderInUseError(RuntimeError):
    """Another process has the folder; the message names both and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """One query as it came: `text` with the data of an insert behind it. `settings` and `parameters` as in the
    address.
    """

    principal: Principal
    text: bytes
    database: str
    default_format: str
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`format` None: a command without a result."""

    body: bytes
    format: str | None
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Insert:
    """`statement` up to the columns, `settings` as a clause or empty, the name of the data's format, the data."""

    statement: str
    settings: str
    format: str
    data: bytes


class Engine:
    """The engine of this process. `run` may be called from several threads at once."""

    def __init__(self, folder: Path, database: str = "streamgauge") -> None:
        """Take the folder, making it where it is missing. Raises FolderInUseError.

        `database` is where a request works that names none: an analyst writes `usage_events` and nothing before it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _take(folder)
        import chdb

        self._chdb: Any = chdb
        self._path = os.path.realpath(folder / "data")
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir()
        # Held open, because the engine ends with its last connection.
        self._root = self._chdb.connect(self._path)
        self._database = database
        self._root.query(f"CREATE DATABASE IF NOT EXISTS {_quoted(database, '`')}")
        self.version, self.time_zone = (
            self._root.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().strip().split("\t")
        )

    def close(self) -> None:
        self._root.close()
        os.close(self._lock)

    def run(self, request: Request) -> Answer:
        """Run one query. Raises EngineError with ClickHouse's code."""
        connection = self._chdb.connect(self._path)
        try:
            return self._run(connection, request)
        except EngineError:
            raise
        except Refused as error:
            raise self._error(error.code, f"{error}. (READONLY)") from None
        except RuntimeError as error:
            raise self._engine_error(str(error)) from None
        finally:
            connection.close()

    def _run(self, connection: Any, request: Request) -> Answer:
        connection.query(f"USE {_quoted(request.database or self._database, '`')}")
        for name, value in self._settings(request).items():
            connection.query(f"SET {name} = {_quoted(value, chr(39))}")
        insert = _insert_of(request.text)
        if insert is not None:
            if request.principal != "writer":
                raise self._error(READONLY, "This user may only read. (READONLY)")
            return self._insert(connection, insert)
        sql = request.text.decode("utf-8", "surrogateescape")
        parameters = dict(request.parameters)
        if request.principal == "reader":
            connection.query("SET readonly = 1")
            check_read(
                sql,
                parameters,
                lambda text, given: bytes(connection.query(text, "JSONEachRow", params=given).bytes() or b""),
            )
        result = connection.query(sql, request.default_format, params=parameters)
        body = bytes(result.bytes() or b"")
        named = _FORMAT.search(sql)
        output = named[1] if named else request.default_format
        asks = _ASKS.match(sql) is not None
        if not body and asks and output.lower() == "native":
            body = _empty_block(connection, _FORMAT.sub("", sql), parameters)
        return Answer(
            body,
            output if asks else None,
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            elapsed_s=result.elapsed(),
        )

    def _insert(self, connection: Any, insert: _Insert) -> Answer:
        """From a file, because chdb's streaming insert reports success for a block that the table refused."""
        with tempfile.NamedTemporaryFile(dir=self._incoming) as file:
            file.write(insert.data)
            file.flush()
            name = _quoted(file.name, "'")
            result = connection.query(
                f"{insert.statement} FROM INFILE {name} {insert.settings} FORMAT {insert.format}", "TabSeparated"
            )
        return Answer(
            b"",
            None,
            written_rows=result.storage_rows_read() or result.rows_read(),
            written_bytes=len(insert.data),
            elapsed_s=result.elapsed(),
        )

    def _settings(self, request: Request) -> dict[str, str]:
        settings = dict(request.settings)
        if request.principal == "reader":
            settings = READER_LIMITS | {
                name: value for name, value in settings.items() if name not in FORBIDDEN_SETTINGS
            }
        for name in settings:
            if not _NAME.fullmatch(name):
                raise self._error(115, f"Unknown setting '{name}'. (UNKNOWN_SETTING)")
        return settings

    def _engine_error(self, text: str) -> EngineError:
        # chdb puts its own words, and sometimes the same beginning twice, in front of ClickHouse's sentence.
        found = re.search(r"Code: (\d+)\. DB::Exception: (?:Code: \d+\. DB::Exception: )?(.*)", text, re.DOTALL)
        if found is None:
            return self._error(1001, f"{text} (STD_EXCEPTION)")
        return self._error(int(found[1]), re.sub(r" \(version [\d.]+\)\.?", "", found[2]).strip())

    def _error(self, code: int, sentence: str) -> EngineError:
        return EngineError(code, f"Code: {code}. DB::Exception: {sentence} (version {self.version})")


def _insert_of(text: bytes) -> _Insert | None:
    """An INSERT with data behind it; None for every other text."""
    match = _INSERT.match(text)
    if match is None or _INLINE.fullmatch(match[3].decode()):
        return None
    return _Insert(match[1].decode(), (match[2] or b"").decode(), match[3].decode(), text[match.end() :])


def _empty_block(connection: Any, sql: str, parameters: dict[str, str]) -> bytes:
    """A Native block of no rows with the names and types of the result, which chdb leaves out."""
    head = connection.query(sql, "TabSeparatedWithNamesAndTypes", params=parameters).bytes() or b""
    names, types = (line.split(b"\t") for line in [*bytes(head).split(b"\n"), b"", b""][:2])
    block = _varint(len(names)) + _varint(0)
    for name, kind in zip(names, types, strict=True):
        plain = re.sub(rb"\\(.)", rb"\1", kind)
        block += _varint(len(name)) + name + _varint(len(plain)) + plain
    return block


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def _take(folder: Path) -> int:
    """Hold the folder for the life of this process. The kernel lets go of it however the process ends: no stale
    locks.
    """
    path = folder / "lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise FolderInUseError(
            f"{folder} is in use by process {owner}: the embedded ClickHouse is one process per folder. "
            "Ask that process over HTTP, stop it, or give another folder"
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle

"""In: a ClickHouseTarget. Out: one database to insert Arrow tables into and to query, over HTTP or in-process chdb
alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, Literal, Self

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from sinks.config import ClickHouseTarget

#: For every insert. A token and an asynchronous insert exclude each other, whatever the server's profile says.
#: `optimize_on_insert` would merge each block's 70 columns row by row to drop repeats inside it, which is 60 % of an
#: insert's CPU; the views read with FINAL, and merges do the same later.
_INSERT_SETTINGS: Final = {"async_insert": 0, "optimize_on_insert": 0}

_INCLUDE: Final = re.compile(r"^([ \t]*)-- include ([a-z_/]+\.sql)[ \t]*$", re.MULTILINE)

_PORT: Final = 8123
_TLS_PORT: Final = 8443


class Database:
    """One client of one database. Not thread-safe: each thread opens its own."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    @property
    def client(self) -> Client:
        """The driver's own client, for what has no method here."""
        return self._client

    @classmethod
    def open(
        cls, target: ClickHouseTarget, *, create: bool = False, compression: Literal["lz4", "zstd", "none"] = "none"
    ) -> Self:
        """Connect. `create`: make the database first where it is missing. Raises the driver's errors (sinks.errors)."""
        if create:
            first = _connect(target, None, "none")
            try:
                first.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": target.database})
            finally:
                first.close()
        return cls(_connect(target, target.database, compression), target.database)

    def insert(self, table: str, rows: pa.Table, token: str | None = None) -> None:
        """Insert all rows, as one block up to 1,048,449 rows. The same `token` again inserts nothing."""
        settings: dict[str, Any] = dict(_INSERT_SETTINGS)
        if token is not None:
            settings["insert_deduplication_token"] = token
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=self._ipc_options()) as writer:
            # One record batch: ClickHouse counts the batches of an insert into what a token stands for.
            writer.write_table(rows.combine_chunks())
        self._client.raw_insert(table, rows.schema.names, sink.getvalue().to_pybytes(), settings, "ArrowStream")

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a small result. `{name:Type}` in `sql` is bound by the server."""
        result = self._client.query(sql, parameters=dict(parameters or {}))
        return [tuple(row) for row in result.result_rows]

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement without a result. `{name:Type}` is bound by the server."""
        self._client.command(sql, parameters=dict(parameters or {}))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ipc_options(self) -> pa.ipc.IpcWriteOptions:
        compression = self._client.write_compression
        return pa.ipc.IpcWriteOptions(compression=compression if compression in ("lz4", "zstd") else None)


def _connect(target: ClickHouseTarget, database: str | None, compression: str) -> Client:
    if target.chdb_path is not None:
        return clickhouse_connect.get_client(
            interface="chdb", path=str(target.chdb_path), database=database or "default"
        )
    tls = target.tls
    return clickhouse_connect.get_client(
        interface="http" if tls is None else "https",
        host=target.host,
        port=target.port or (_PORT if tls is None else _TLS_PORT),
        username=target.username,
        password=target.password,
        database=database or "default",
        verify=tls is None or tls.verify,
        ca_cert=tls.ca_file if tls else None,
        client_cert=tls.cert_file if tls else None,
        client_cert_key=tls.key_file if tls else None,
        compress=False if compression == "none" else compression,
        connect_timeout=target.connect_timeout_s,
        send_receive_timeout=target.timeout_s,
        # A session serialises its queries on the server and brings us nothing.
        autogenerate_session_id=False,
        query_retries=0,
    )


def read_sql(*path: str) -> str:
    """The text of a file of this package. A line `-- include ROOM/FILE.sql` stands for that file, which has no such
    line itself; of it, comment lines are left out.
    """
    text = resources.files("sinks").joinpath(*path).read_text(encoding="utf-8")
    return _INCLUDE.sub(_included, text)


def _included(line: re.Match[str]) -> str:
    text = resources.files("sinks").joinpath(*line[2].split("/")).read_text(encoding="utf-8")
    return "\n".join(line[1] + part for part in text.splitlines() if not part.lstrip().startswith("--"))


def split_statements(text: str) -> list[str]:
    """Statements of a .sql file: separated by a `;` outside of quotes and comments; comment lines stay with theirs."""
    statements, current, index = [], "", 0
    while index < len(text):
        char = text[index]
        end = index + 1
        if text.startswith("--", index):
            end = text.find("\n", index) % (len(text) + 1)
        elif char in "'`\"":
            end = _quoted_end(text, index)
        if char == ";":
            statements.append(current)
            current = ""
        else:
            current += text[index:end]
        index = end
    return [statement.strip() for statement in [*statements, current] if _has_sql(statement)]


def _quoted_end(text: str, start: int) -> int:
    quote, index = text[start], start + 1
    while index < len(text) and text[index] != quote:
        index += 2 if text[index] == "\\" else 1
    return min(index + 1, len(text))


def _has_sql(statement: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in statement.splitlines())

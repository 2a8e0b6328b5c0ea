"""The embedded ClickHouse as its clients see it: over HTTP, from another process."""

from __future__ import annotations

import base64
import gzip
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import lz4.frame  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from streamgauge.embedded.clickhouse import ClickHouseStartError, EmbeddedClickHouse


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        writer = connect(running, "writer")
        writer.command("CREATE DATABASE IF NOT EXISTS streamgauge")
        writer.command(
            "CREATE TABLE streamgauge.t (a UInt32, b LowCardinality(Nullable(String)), c Map(String, Array(UInt8))) "
            "ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10"
        )
        writer.close()
        yield running


def connect(server: EmbeddedClickHouse, user: str = "default", **more: Any) -> Client:
    password = server.writer_password if user == "writer" else ""
    return clickhouse_connect.get_client(host=server.host, port=server.port, username=user, password=password, **more)


def ask(
    server: EmbeddedClickHouse,
    query: str | None = None,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    **address: str,
) -> Reply:
    """One HTTP request, as curl makes it."""
    given = ({} if query is None else {"query": query}) | address
    request = urllib.request.Request(f"{server.url}/?{urllib.parse.urlencode(given)}", data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return Reply(reply.status, dict(reply.headers), reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read())


def as_writer(server: EmbeddedClickHouse) -> dict[str, str]:
    return {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": server.writer_password}


def test_ping_and_an_empty_request(server: EmbeddedClickHouse) -> None:
    with urllib.request.urlopen(f"{server.url}/ping", timeout=10) as reply:
        assert reply.read() == b"Ok.\n"
    assert ask(server).body == b"Ok.\n"


def test_text_in_the_address_the_body_or_both(server: EmbeddedClickHouse) -> None:
    assert ask(server, "SELECT 1").body == b"1\n"
    assert ask(server, body=b"SELECT 2").body == b"2\n"
    assert ask(server, "SELECT 1,", body=b"3 AS b FORMAT JSONEachRow").body == b'{"1":1,"b":3}\n'


def test_parameters_database_and_format(server: EmbeddedClickHouse) -> None:
    reply = ask(
        server, "SELECT {n:UInt8} + 1 AS x, {s:String}", default_format="CSVWithNames", param_n="4", param_s="a'b\\\\c"
    )
    assert reply.body.splitlines()[1] == b'5,"a\'b\\c"'
    assert reply.headers["X-ClickHouse-Format"] == "CSVWithNames"
    assert reply.headers["Content-Type"].startswith("text/csv")
    assert ask(server, "SELECT currentDatabase()", database="streamgauge").body == b"streamgauge\n"
    assert ask(server, "SELECT 1", database="nosuch").headers["X-ClickHouse-Exception-Code"] == "81"


def test_headers(server: EmbeddedClickHouse) -> None:
    reply = ask(server, "SELECT number FROM numbers(7)", query_id="mine")
    assert reply.headers["X-ClickHouse-Query-Id"] == "mine"
    assert reply.headers["X-ClickHouse-Server-Display-Name"] == "streamgauge-embedded"
    assert reply.headers["X-ClickHouse-Timezone"]
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["read_rows"] == "7"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT nosuch", 404, 47),
        ("SELECT * FROM nosuch", 404, 60),
        ("SELECT throwIf(1)", 500, 395),
    ],
)
def test_errors_are_clickhouses_own(server: EmbeddedClickHouse, query: str, status: int, code: int) -> None:
    reply = ask(server, query)
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert reply.body.startswith(f"Code: {code}. DB::Exception: ".encode())


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd", "deflate"])
def test_answers_are_compressed_as_asked(server: EmbeddedClickHouse, encoding: str) -> None:
    client = connect(server, compress=encoding) if encoding in ("gzip", "lz4", "zstd") else None
    reply = ask(
        server, "SELECT number FROM numbers(1000)", headers={"Accept-Encoding": encoding}, enable_http_compression="1"
    )
    assert reply.headers["Content-Encoding"] == encoding
    if client is not None:
        assert client.query("SELECT sum(number) FROM numbers(1000)").result_rows == [(499_500,)]
    plain = ask(server, "SELECT 1", headers={"Accept-Encoding": encoding})
    assert "Content-Encoding" not in plain.headers


@pytest.mark.parametrize("compress", [gzip.compress, lz4.frame.compress])
def test_bodies_are_taken_compressed(server: EmbeddedClickHouse, compress: object) -> None:
    encoding = "gzip" if compress is gzip.compress else "lz4"
    reply = ask(server, body=compress(b"SELECT 5"), headers={"Content-Encoding": encoding})  # type: ignore[operator]
    assert reply.body == b"5\n"
    broken = ask(server, body=b"not compressed", headers={"Content-Encoding": encoding})
    assert broken.headers["X-ClickHouse-Exception-Code"] == "271"


def test_clickhouse_connect_reads(server: EmbeddedClickHouse) -> None:
    client = connect(server)
    assert client.query("SELECT {n:UInt8} AS a, NULL AS b", parameters={"n": 3}).result_rows == [(3, None)]
    assert client.query("SELECT 1 AS a, 'x' AS b WHERE 0").column_names == ("a", "b")
    assert client.query_arrow("SELECT number FROM numbers(3)")["number"].to_pylist() == [0, 1, 2]
    assert client.query_df("SELECT number AS n FROM numbers(3)")["n"].tolist() == [0, 1, 2]
    many = client.query("SELECT number, toString(number) FROM numbers(200000)").result_rows
    assert (len(many), many[-1]) == (200_000, (199_999, "199999"))


def test_clickhouse_connect_writes(server: EmbeddedClickHouse) -> None:
    for compress in (False, "lz4", "zstd"):
        writer = connect(server, "writer", compress=compress, database="streamgauge")
        writer.command("TRUNCATE TABLE t")
        rows = pa.table({"a": pa.array([1, 2], pa.uint32()), "b": ["x", None]})
        for _ in range(2):
            writer.insert_arrow("t", rows, settings={"insert_deduplication_token": f"token-{compress}"})
        writer.insert("t", [[3, "y", {"k": [1, 2]}]], column_names=["a", "b", "c"])
        wanted = [(1, "x", {}), (2, None, {}), (3, "y", {"k": [1, 2]})]
        assert writer.query("SELECT * FROM t ORDER BY a").result_rows == wanted
        assert connect(server, database="streamgauge").query("SELECT * FROM t ORDER BY a").result_rows == wanted
        with pytest.raises(DatabaseError) as refused:
            writer.insert_arrow("t", pa.table({"a": ["no number"]}))
        assert refused.value.code in (6, 27, 53, 70, 72)
        assert writer.command("SELECT count() FROM t") == 3


def test_values_and_selects_are_inserted_too(server: EmbeddedClickHouse) -> None:
    headers = as_writer(server)
    for text in (
        b"INSERT INTO streamgauge.t (a, b) VALUES (1, 'a FORMAT b'), (2, NULL)",
        b"INSERT INTO streamgauge.t (a) SELECT number FROM numbers(3)",
        b"INSERT INTO streamgauge.t (a, b) FORMAT CSV\n7,z\n8,\n",
        b'INSERT INTO streamgauge.t (a) SETTINGS max_insert_threads = 1 FORMAT JSONEachRow {"a": 9}',
    ):
        before = int(ask(server, "SELECT count() FROM streamgauge.t").body)
        reply = ask(server, body=text, headers=headers)
        assert reply.status == 200, reply.body
        assert int(ask(server, "SELECT count() FROM streamgauge.t").body) > before


def test_a_block_that_the_table_refuses_is_an_error(server: EmbeddedClickHouse) -> None:
    """The engine's streaming insert would report success."""
    writer = connect(server, "writer", database="streamgauge")
    writer.command("CREATE TABLE IF NOT EXISTS many (a UInt32) ENGINE = MergeTree PARTITION BY a ORDER BY a")
    with pytest.raises(DatabaseError, match="single INSERT block") as refused:
        writer.insert_arrow("many", pa.table({"a": pa.array(range(150), pa.uint32())}))
    assert refused.value.code == 252


@pytest.mark.parametrize(
    "query",
    [
        "SELECT file('/etc/hostname')",
        "SELECT 1; SELECT file('/etc/hostname')",
        "EXPLAIN SELECT file('/etc/hostname')",
        "WITH x AS (SELECT File('/etc/hostname')) SELECT * FROM x",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM `/etc/hostname`",
        "DESCRIBE TABLE file('/etc/hostname')",
        "DESCRIBE TABLE url('http://127.0.0.1:1/', 'CSV')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/a.csv')",
        "SELECT * FROM view(SELECT * FROM remote('127.0.0.1:1', system.one))",
        "SELECT * FROM numbers(1) WHERE number IN (SELECT * FROM executable('ls', 'TSV', 'a UInt8'))",
        "SELECT * FROM python('os')",
        "SELECT * FROM eval('SELECT 1')",
        "SELECT 1 INTO OUTFILE 'out.csv'",
        "SHOW TABLES INTO OUTFILE 'out.csv'",
        "EXPLAIN SELECT 1 INTO OUTFILE 'out.csv'",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_threads = 1",
        "SYSTEM FLUSH LOGS",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "DROP TABLE streamgauge.t",
        "ALTER TABLE streamgauge.t DELETE WHERE 1",
        "INSERT INTO streamgauge.t (a) VALUES (1)",
        "INSERT INTO streamgauge.t (a) FORMAT CSV 1",
        "INSERT INTO FUNCTION file('out.csv') SELECT 1",
        "ATTACH TABLE x FROM '/tmp' (a Int8) ENGINE = MergeTree ORDER BY a",
        "BACKUP TABLE streamgauge.t TO File('out')",
        "BEGIN TRANSACTION",
    ],
)
def test_readers_only_read(server: EmbeddedClickHouse, query: str) -> None:
    host = Path("/etc/hostname").read_bytes().strip() if Path("/etc/hostname").exists() else b"\0"
    addresses: tuple[dict[str, Any], ...] = (
        {},
        {"readonly": "0", "allow_ddl": "1", "allow_experimental_eval_table_function": "1"},
    )
    for address in addresses:
        for headers in ({}, {"X-ClickHouse-User": "analyst"}):
            reply = ask(server, query, headers=headers, **address)
            assert reply.status != 200, f"{query} gave {reply.body[:200]!r}"
            assert host not in reply.body
    assert not list(server.path.rglob("out*"))
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'INTO OUTFILE', 'a; b', 'KILL QUERY'",
        "SELECT 1 -- a comment; and more",
        "SELECT 1;",
        "/* a */ WITH 1 AS x SELECT x FROM numbers(2) LIMIT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SHOW TABLES FROM streamgauge LIKE 't%'",
        "SHOW CREATE TABLE streamgauge.t",
        "DESCRIBE TABLE streamgauge.t",
        "EXISTS TABLE streamgauge.t",
        "EXPLAIN SELECT 1",
        "SELECT * FROM values('a Int8', 1)",
        "SELECT name FROM system.columns LIMIT 1 FORMAT JSONCompact",
        "SELECT 'line\nbreak\ttab\\\\back'",
    ],
)
def test_readers_read_freely(server: EmbeddedClickHouse, query: str) -> None:
    reply = ask(server, query, max_threads="1")
    assert reply.status == 200, reply.body


def test_who_may_write(server: EmbeddedClickHouse) -> None:
    create = "CREATE DATABASE IF NOT EXISTS streamgauge"
    basic = base64.b64encode(f"writer:{server.writer_password}".encode()).decode()
    assert ask(server, create, headers={"Authorization": f"Basic {basic}"}).status == 200
    assert ask(server, create, headers=as_writer(server)).status == 200
    assert ask(server, create, user="writer", password=server.writer_password).status == 200
    for headers in (
        {"X-ClickHouse-User": "writer"},
        {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "root"},
        {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "guess"},
        {"Authorization": "Basic %%%"},
    ):
        reply = ask(server, "SELECT 1", headers=headers)
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


def test_a_page_of_another_name_is_refused(server: EmbeddedClickHouse) -> None:
    assert ask(server, "SELECT 1", headers={"Host": "evil.example"}).status == 403


def test_a_slow_query_keeps_no_insert_waiting(server: EmbeddedClickHouse) -> None:
    """Eight of them keep both cores and all reading threads busy."""
    slow = "SELECT sum(cityHash64(number)) FROM numbers(100000000000)"
    readers = [threading.Thread(target=ask, args=(server, slow), kwargs={"max_execution_time": "6"}) for _ in range(8)]
    for reader in readers:
        reader.start()
    try:
        began = time.monotonic()
        reply = ask(server, body=b"INSERT INTO streamgauge.t (a) FORMAT CSV\n1\n", headers=as_writer(server))
        assert reply.status == 200
        assert time.monotonic() - began < 4.0
        with urllib.request.urlopen(f"{server.url}/ping", timeout=4) as ping:
            assert ping.status == 200
    finally:
        for reader in readers:
            reader.join()


def test_a_query_that_takes_too_long_is_ended(server: EmbeddedClickHouse) -> None:
    reply = ask(server, "SELECT sum(cityHash64(number)) FROM numbers(100000000000)", max_execution_time="1")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (408, "159")


def test_one_process_per_folder_and_no_stale_locks(tmp_path: Path) -> None:
    with EmbeddedClickHouse(tmp_path, writer_password="secret") as first:
        writer = connect(first, "writer")
        writer.command("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        writer.command("INSERT INTO t VALUES (1)")
        second = EmbeddedClickHouse(tmp_path)
        with pytest.raises(ClickHouseStartError, match=rf"in use by process {first.pid}: .* one process per folder"):
            second.start()
        with pytest.raises(ClickHouseStartError, match=f"port {first.port} .* already in use"):
            EmbeddedClickHouse(tmp_path / "other", first.port).start()
        os.kill(first.pid, 9)
        first.stop()
        first.start()
        assert connect(first, "analyst").command("SELECT count() FROM t") == 1
    assert not first.alive


def test_the_password_is_told_to_nobody(server: EmbeddedClickHouse) -> None:
    command = Path(f"/proc/{server.pid}/cmdline")
    if command.exists():
        assert server.writer_password.encode() not in command.read_bytes()
    assert server.writer_password not in server.log_tail(1_000)

"""`streamgauge up` as a person runs it: a process of its own, asked by others, ended, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import clickhouse_connect
import pytest

from streamgauge.embedded.broker import pick_port
from streamgauge.local.folder import Folder, FolderInUse
from streamgauge.local.state import find_local

pytestmark = pytest.mark.slow

TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:15:{second:02}.0000000,{100 + second},{second}\n" for second in range(60)
)
COUNTS = "SELECT count(), sum(input_tokens), sum(output_tokens) FROM usage_events"
WANTED = (60, 60 * 100 + 1_770, 1_770)


def eventually(true: Callable[[], bool], what: str, deadline_s: float = 60.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < deadline, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.1)


def environment() -> dict[str, str]:
    """No settings of whoever runs the tests; the checkout on the path."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
    return mine | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class Up:
    """One `streamgauge up` in a folder; `told` is what it printed when it was up."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        argv = [sys.executable, "-m", "streamgauge", "up", "--json", "--kafka-port", "0", "--http-port", "0", *options]
        self.process = subprocess.Popen(
            argv, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate(timeout=30)
            raise AssertionError(f"it did not come up: {errors}")
        self.told: dict[str, Any] = json.loads(line)

    def children(self) -> list[int]:
        """Every process below it."""
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
        found, wave = [], {self.process.pid}
        while wave:
            wave = {pid for pid, parent in pairs if parent in wave}
            found += sorted(wave)
        return found

    def run(self, *arguments: str) -> str:
        """Another command in the same folder, as another terminal would."""
        argv = [sys.executable, "-m", "streamgauge", *arguments]
        done = subprocess.run(argv, cwd=self.folder, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, sql: str) -> tuple[Any, ...]:
        """The first row of the answer, by the client that analysts use, without any setting but the address."""
        host, port = self.told["clickhouse"].removeprefix("http://").split(":")
        client = clickhouse_connect.get_client(host=host, port=int(port))
        try:
            return tuple(client.query(sql).result_rows[0])
        finally:
            client.close()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=30)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trace.csv").write_text(TRACE, encoding="utf-8")
    return tmp_path


def test_a_trace_is_asked_for_and_survives_a_kill(folder: Path) -> None:
    with Up(folder) as first:
        first.run("replay", "trace.csv", "--format", "azure-llm")
        eventually(lambda: first.ask(COUNTS) == WANTED, "the replayed events in ClickHouse")
        assert json.loads(first.run("query", COUNTS.replace("count()", "count() AS n"), "--json"))[0]["n"] == 60
        findings = json.loads(first.run("doctor", "--json"))
        assert {one["state"] for one in findings} <= {"ok", "skipped"}, findings
        for role, address in first.told["endpoints"].items():
            with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
                assert f"streamgauge_{role}_" in answer.read().decode(), f"metrics of {role}"
        assert find_local(folder / ".streamgauge") is not None
        below = first.children()
        assert len(below) == 5, "broker, ClickHouse and three roles"
        first.end(signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in below), "its children die with it", 20)
    assert find_local(folder / ".streamgauge") is None
    # What it left does no harm: the data are there, and a new broker's offsets are not taken for the old one's.
    with Up(folder) as second:
        assert second.ask(COUNTS) == WANTED
        second.run("replay", "trace.csv", "--format", "azure-llm", "--seed", "7")
        eventually(lambda: second.ask("SELECT uniqExact(log) FROM usage_ledger") == (2,), "a ledger of the second log")
        eventually(lambda: second.ask(COUNTS)[0] == 120, "events of another seed beside the first ones")
        below = second.children()
        assert second.end(signal.SIGINT) == 0
        assert not any(alive(pid) for pid in below)
    assert not (folder / ".streamgauge" / "up.json").exists()
    assert (folder / ".streamgauge" / "logs" / "sink.log.previous").exists()


def test_a_part_that_dies_brings_the_house_down_with_its_log(folder: Path) -> None:
    with Up(folder) as house:
        state = find_local(folder / ".streamgauge")
        assert state is not None
        below = house.children()
        sink = next(pid for pid in below if b"sink" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        os.kill(sink, signal.SIGKILL)
        _, errors = house.process.communicate(timeout=60)
        assert house.process.returncode == 1
        assert "sink ended by itself with code -9; the end of " in errors
        assert "sink.assigned" in errors
        assert not any(alive(pid) for pid in below)


def test_a_port_in_use_is_one_sentence_and_nothing_stays(folder: Path) -> None:
    port = pick_port()
    with socket.create_server(("127.0.0.1", port)):
        for option in ("--kafka-port", "--http-port"):
            argv = [
                sys.executable,
                "-m",
                "streamgauge",
                "up",
                "--kafka-port",
                "0",
                "--http-port",
                "0",
                option,
                str(port),
            ]
            done = subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert f"port {port} on 127.0.0.1 is already in use" in done.stderr.splitlines()[-1]
            assert "Traceback" not in done.stderr
    assert find_local(folder / ".streamgauge") is None


def test_two_houses_on_one_folder_are_refused(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.acquire()
    with pytest.raises(FolderInUse, match="another `streamgauge up` runs on"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_roles_serve_their_probes_and_metrics(folder: Path) -> None:
    with Up(folder) as house:
        for pid in house.children():
            variables = dict(
                pair.split("=", 1)
                for pair in Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
                if "=" in pair
            )
            port = variables.get("STREAMGAUGE_HTTP__PORT")
            if port is None:
                continue
            for path in ("/live", "/ready", "/metrics"):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    assert answer.status == 200

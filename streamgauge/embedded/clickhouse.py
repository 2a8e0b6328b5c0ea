"""A folder in; ClickHouse's HTTP interface on loopback out, served by a process of its own that holds the engine
(chdb).

`python -m streamgauge.embedded.clickhouse --path DIR --port N` runs one in the foreground. For trying out, developing
and testing: whoever reaches the port reads everything, `usage_rejected` and `user_hash` included, because the embedded
engine has no users and no column rights; a ClickHouse server has them (see sinks/migrations, the analyst role).
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK, log_tail, port_is_free, spawn_child, stop_child

PASSWORD_VARIABLE: Final = "STREAMGAUGE_EMBEDDED_WRITER_PASSWORD"
START_DEADLINE_S: Final = 30.0
STOP_GRACE_S: Final = 15.0
POLL_INTERVAL_S: Final = 0.02


class ClickHouseStartError(RuntimeError):
    """The embedded ClickHouse could not be started; the message holds the end of its log and what to do."""


class EmbeddedClickHouse:
    """One engine process; `with EmbeddedClickHouse(path) as clickhouse:` gives `host`, `port` and `writer_password`.

    `port` None takes a free one; `writer_password` None makes one up. The log goes to `log_path`, or to a temporary
    file that goes with the process. A stopped one can be started again on its data.
    """

    def __init__(
        self,
        path: Path,
        port: int | None = None,
        writer_password: str | None = None,
        *,
        log_path: Path | None = None,
    ) -> None:
        self.path = path
        self.host: Final = LOOPBACK
        self.writer_password = writer_password or secrets.token_urlsafe(24)
        self._wanted_port = port
        self._port = port
        self._own_log = log_path is None
        self._log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of the HTTP interface; only once started."""
        if self._port is None:
            raise ClickHouseStartError(
                "the embedded ClickHouse is not running: call start() or use it in a `with` block"
            )
        return self._port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ClickHouseStartError(
                "the embedded ClickHouse is not running: call start() or use it in a `with` block"
            )
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        """The end of the process's log."""
        return log_tail(self._log_path, lines) if self._log_path is not None else "(not started yet)"

    def start(self) -> None:
        """Start the process and return when it answers. Raises ClickHouseStartError."""
        if self.alive:
            return
        if self._log_path is None:
            handle, name = tempfile.mkstemp(prefix="streamgauge-clickhouse-", suffix=".log")
            os.close(handle)
            self._log_path = Path(name)
        self._port = self._wanted_port if self._wanted_port is not None else pick_port()
        if not port_is_free(self._port):
            raise ClickHouseStartError(
                f"port {self._port} on {LOOPBACK} is already in use, perhaps by an earlier run that still lives: see "
                f"who holds it with `ss -ltnp 'sport = :{self._port}'`, stop that process, or ask for another port "
                "(`streamgauge up --http-port PORT`; 0: any free one)"
            )
        argv = [
            sys.executable,
            "-m",
            "streamgauge.embedded.clickhouse",
            "--path",
            str(self.path),
            "--port",
            str(self._port),
        ]
        env = {
            **os.environ,
            PASSWORD_VARIABLE: self.writer_password,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        self._process = spawn_child(argv, log_path=self._log_path, env=env)
        deadline = time.monotonic() + START_DEADLINE_S
        while not _answers(self._port):
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                why = "ended before it answered" if ended else "did not answer in time"
                message = f"the embedded ClickHouse {why}; the end of its log:\n{self.log_tail()}"
                self.stop()
                raise ClickHouseStartError(message)
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """End the process; the data stays. Harmless when it is not running."""
        if self._process is not None:
            stop_child(self._process, grace_s=STOP_GRACE_S)
            self._process = None
        if self._own_log and self._log_path is not None:
            self._log_path.unlink(missing_ok=True)
            self._log_path = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/ping", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    """Serve one folder until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m streamgauge.embedded.clickhouse", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder of the data; made where it is missing")
    parser.add_argument("--port", type=int, required=True, help=f"port on {LOOPBACK}")
    options = parser.parse_args()
    try:
        from aiohttp import web

        from streamgauge.embedded.clickhouse_engine import Engine, FolderInUseError
        from streamgauge.embedded.clickhouse_http import Server
    except ImportError as error:
        sys.exit(
            f"the embedded ClickHouse needs {error.name}: install streamgauge with its extra, `streamgauge[embedded]`"
        )
    try:
        engine = Engine(options.path)
    except FolderInUseError as error:
        sys.exit(str(error))
    password = os.environ.pop(PASSWORD_VARIABLE, None) or secrets.token_urlsafe(24)
    server = Server(engine, password)
    try:
        web.run_app(
            server.application, host=LOOPBACK, port=options.port, print=None, access_log=None, auto_decompress=False
        )
    finally:
        engine.close()


if __name__ == "__main__":
    main()

"""In: a role's name. Out: a process that has imported the role and is forked into workers: they start at once.

Most of a worker's start is importing, and a full run starts hundreds. The nursery has one thread and no client of
anything, so a fork of it is what a fresh process is after its imports. `python -m tests.crash.nursery ROLE` takes one
line of JSON for each worker on its standard input, and tells births and deaths on its standard output. It ends with its
input, and its children with it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.crash.points import Role

_COMMON: Final = ("streamgauge.cli", "streamgauge.cli.role", "streamgauge.settings.convert", "confluent_kafka.admin")
_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "enrich": ("streams.enrich.run",),
    "agents": ("streams.agents.run",),
    "sink": ("sinks.run",),
}
_LOOK_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A worker's process, as `subprocess.Popen` would show it."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid

    def poll(self) -> int | None:
        """Exit code; negative: the signal that ended it; None while it lives."""
        return self._nursery.ended.get(self.pid) if self._nursery.hear() else None

    def send_signal(self, how: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so long."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return self.poll() is not None


class Nursery:
    """The parent's side."""

    def __init__(self, role: Role, log_path: Path) -> None:
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.nursery", role],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._log_path = log_path
        self._rest = b""
        self._born: dict[int, int] = {}
        self._count = 0
        #: Exit code by process id.
        self.ended: dict[int, int] = {}

    def start(self, environment: Mapping[str, str], log_path: Path) -> Child:
        self._count += 1
        line = json.dumps({"number": self._count, "environment": dict(environment), "log": str(log_path)})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        while self._count not in self._born:
            if self._process.poll() is not None:
                raise RuntimeError(f"the nursery ended; see {self._log_path}")
            self.hear(1.0)
        return Child(self, self._born[self._count])

    def hear(self, wait_s: float = 0.0) -> bool:
        """Take in what it has told. True."""
        out = self._process.stdout
        assert out is not None
        while select.select([out], [], [], wait_s)[0]:
            told = os.read(out.fileno(), 65_536)
            if not told:
                break
            *lines, self._rest = (self._rest + told).split(b"\n")
            for line in lines:
                one = json.loads(line)
                if one["what"] == "born":
                    self._born[one["number"]] = one["pid"]
                    # Process ids come again: whoever had this one before is long reaped.
                    self.ended.pop(one["pid"], None)
                else:
                    self.ended[one["pid"]] = one["code"]
            wait_s = 0.0
        return True

    def close(self) -> None:
        """End it, and every worker that still lives."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def main(role: str) -> None:
    """The nursery itself."""
    for module in ("tests.crash.role", *_COMMON, *_MODULES[role]):
        importlib.import_module(module)
    rest = b""
    while True:
        if select.select([0], [], [], _LOOK_S)[0]:
            asked = os.read(0, 65_536)
            if not asked:
                return
            *lines, rest = (rest + asked).split(b"\n")
            for line in lines:
                _bear(role, json.loads(line))
        _mourn()


def _bear(role: str, asked: dict[str, Any]) -> None:
    mother = os.getpid()
    pid = os.fork()
    if pid == 0:
        _live(role, asked, mother)
    _tell({"what": "born", "number": asked["number"], "pid": pid})


def _live(role: str, asked: dict[str, Any], mother: int) -> NoReturn:
    """The worker: its own session, log and environment; it dies with the nursery."""
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != mother:
                os._exit(1)
        os.setsid()
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for here, there in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(here, there)
        os.environ.clear()
        os.environ.update(asked["environment"])
        code = importlib.import_module("tests.crash.role").run(role)
    except BaseException:  # noqa: BLE001 - told in the worker's log, whatever it is
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _mourn() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell({"what": "ended", "pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])

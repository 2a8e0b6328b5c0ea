"""In: a role's name and its settings. Out: the role as a child process with its log file, its readiness and its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.health import Verdict
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK, log_tail, spawn_child, stop_child

#: Longer than the agents' last checkpoint or the sink's last insert takes.
STOP_GRACE_S: Final = 20.0


class RoleProcess:
    """`python -m streamgauge NAME`, bound to this process's life. Start it from the main thread (see `spawn_child`)."""

    def __init__(self, name: str, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self.port = pick_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        mine = {
            "STREAMGAUGE_HTTP__HOST": LOOPBACK,
            "STREAMGAUGE_HTTP__PORT": str(self.port),
            # A checkout is found as well as an installed package, wherever we run.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        argv = [sys.executable, "-m", "streamgauge", self.name]
        self._process = spawn_child(argv, log_path=self.log_path, env={**environment, **mine})

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; only once started."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def readiness(self) -> Verdict:
        """Whether it is ready, and the reason in its own words."""
        return self._probe("/ready")

    def liveness(self) -> Verdict:
        """Whether it makes progress, and whether its input is read to its end."""
        return self._probe("/live")

    def _probe(self, path: str) -> Verdict:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}{path}", timeout=2.0) as answer:
                return Verdict(**json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return Verdict(**json.load(error))
        except (OSError, ValueError):
            return Verdict(False, "starting")

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting: several roles wind down at the same time."""
        if self._process is not None and self.alive:
            self._process.terminate()

    def stop(self) -> None:
        if self._process is not None:
            stop_child(self._process, grace_s=STOP_GRACE_S)

    def log_tail(self, lines: int = 12) -> str:
        return log_tail(self.log_path, lines)

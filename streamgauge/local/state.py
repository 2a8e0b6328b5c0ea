"""In: a data directory. Out: what a running `streamgauge up` says of itself there, so that other commands find it
without settings.

The file is a hint, never a lock: one left by a killed run names a process that no longer lives and is ignored.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

STATE_FILE: Final = "up.json"
KEY_FILE: Final = "user.key"
WRITER_FILE: Final = "writer.key"
WRITER: Final = "writer"


@dataclass(frozen=True, slots=True)
class LocalState:
    """Addresses of one running house. `pid` is the process of `streamgauge up`, `started` its start time in clock
    ticks.
    """

    pid: int
    started: str
    data_dir: str
    bootstrap: str
    http_host: str
    http_port: int
    database: str
    event_partitions: int
    tally_partitions: int
    session_timeout_ms: int
    fetch_wait_ms: int

    def user_key(self) -> str:
        """The local key of the user hash."""
        return (Path(self.data_dir) / KEY_FILE).read_text(encoding="ascii").strip()

    def writer_password(self) -> str | None:
        """The local password of ClickHouse's user `writer`; None where an older version runs."""
        path = Path(self.data_dir) / WRITER_FILE
        return path.read_text(encoding="ascii").strip() if path.exists() else None


def find_local(data_dir: Path) -> LocalState | None:
    """The house that runs on `data_dir`; None when there is none, or only what a killed one left."""
    try:
        values = json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8"))
        state = LocalState(**{field.name: values[field.name] for field in fields(LocalState)})
    except (OSError, ValueError, KeyError, TypeError):
        # Absent, half-written or from another version: there is nothing to find, and `up` writes a new one.
        return None
    return state if process_started(state.pid) == state.started else None


def publish_local(state: LocalState) -> None:
    """Leave the state to be found; replaced as a whole, so that no reader sees half of it."""
    path = Path(state.data_dir) / STATE_FILE
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def withdraw_local(data_dir: Path) -> None:
    (data_dir / STATE_FILE).unlink(missing_ok=True)


def process_started(pid: int) -> str | None:
    """When a process started, as the kernel tells it; tells a process from a later one of the same number. None: not
    running.
    """
    try:
        # Field 22 of stat(5); the name in field 2 may hold spaces and parentheses, so count from its end.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return None
    return "unknown"


def local_user_key(data_dir: Path) -> str:
    """The key of this data directory, made at the first call and readable by its owner alone."""
    return _local_secret(data_dir / KEY_FILE)


def local_writer_password(data_dir: Path) -> str:
    """The password of ClickHouse's user `writer` in this data directory, made and kept in the same way."""
    return _local_secret(data_dir / WRITER_FILE)


def _local_secret(path: Path) -> str:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    return path.read_text(encoding="ascii").strip()

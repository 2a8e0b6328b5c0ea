"""In: a data directory. Out: the same, locked for one house at a time, with its logs of this run begun anew."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from streamgauge.local.state import find_local


class FolderInUse(RuntimeError):
    """Another house runs on the directory."""


class Folder:
    """Layout: `clickhouse/` data, `logs/NAME.log` (and `.previous`), `user.key`, `writer.key`,
    `up.json`, `lock`.

    The lock is the kernel's and dies with its holder, so what a killed run left never has to be cleaned up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    @property
    def clickhouse(self) -> Path:
        return self.path / "clickhouse"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    @property
    def held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Make the directory and take its lock. Raises FolderInUse, or OSError where it cannot be written."""
        self.clickhouse.mkdir(parents=True, exist_ok=True)
        (self.path / "logs").mkdir(exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("# Local data of `streamgauge up`.\n*\n", encoding="utf-8")
        # Not inherited by children (PEP 446), so that a child that lives on for a moment does not hold it.
        lock = (self.path / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            running = find_local(self.path)
            who = f" (process {running.pid}, Kafka at {running.bootstrap})" if running else ""
            raise FolderInUse(
                f"another `streamgauge up` runs on {self.path}{who}: "
                "use that one, stop it, or name another folder with --data"
            ) from None
        self._lock = lock
        for log in (self.path / "logs").glob("*.log"):
            log.replace(log.with_suffix(".log.previous"))

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

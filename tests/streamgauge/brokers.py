"""The broker that the settings of a test name."""

from __future__ import annotations

import os


def topics_bootstrap() -> str:
    return os.environ["STREAMGAUGE_KAFKA__BOOTSTRAP"]

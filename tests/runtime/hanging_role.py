"""`python -m tests.runtime.hanging_role ROLE FILE`: a role whose loop stands still for as long as FILE exists."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sinks.events.enriched_writer import EnrichedWriter
from streamgauge.cli import app
from streams.agents.custody import Custody
from streams.enrich.run import Enricher


def main() -> None:
    role, file = sys.argv[1], Path(sys.argv[2])

    def hang_here_while_told(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*arguments: Any, **named: Any) -> Any:
            while file.exists():
                time.sleep(0.05)
            return inner(*arguments, **named)

        return outer

    for owner, name in ((Enricher, "step"), (EnrichedWriter, "_turn"), (Custody, "take")):
        setattr(owner, name, hang_here_while_told(getattr(owner, name)))
    app([role])


if __name__ == "__main__":
    main()

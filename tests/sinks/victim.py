"""A writer of usage.enriched that ends itself at a chosen step: `python -m tests.sinks.victim JSON`.

SIGKILL: nothing is flushed, closed or committed. SIGSTOP: it stalls, heartbeats and all, until somebody continues it.
The point is a step of the loop in `sinks.events.enriched_writer`, in the worker's second flush or later: one lies
before it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import SinkMetrics
from schemas.topics import Topics
from sinks.config import ClickHouseTarget
from sinks.database import Database
from sinks.events.chain import Chain
from sinks.events.enriched_writer import EVENTS_TABLE, EnrichedWriter
from sinks.refusals.isolate import RefusedRow
from tests.sinks.running import CONFIG

#: Where a worker may end itself. `in 3` is behind a few of the inserts that isolate a bad row. `never`: the test does.
POINTS: Final = ("before 2", "after 2", "in 3", "after 3", "after 4", "after 5", "after 6", "never")
#: The broker of the tests allows less than the usual 6 s: whoever comes after a killed member waits for so long.
SESSION_MS: Final = 3_000
#: Rows of one flush.
FLUSH_ROWS: Final = 20


class Victim(EnrichedWriter):
    """Ends in its second flush. Every flush holds a bad row, so that all steps are taken."""

    point: str
    how: signal.Signals
    flushes: int = 0
    inserts: int = 0

    def meet(self, point: str) -> None:
        """Once: in the second flush, or later where a session that a busy machine lost had cut that one short."""
        if self.flushes >= 2 and point == self.point:
            self.point = "never"
            os.kill(os.getpid(), self.how)

    def _flush(self, chain: Chain) -> None:
        self.flushes += 1
        self.inserts = 0
        self.meet("before 2")
        super()._flush(chain)
        self.meet("after 6")

    def _insert(self, table: str, what: str, rows: pa.Table, token: str) -> None:
        if table == EVENTS_TABLE:
            if not self.inserts:
                self.meet("after 2")
            self.inserts += 1
            if self.inserts == 5:
                self.meet("in 3")
        super()._insert(table, what, rows, token)
        if table != EVENTS_TABLE:
            self.meet("after 5")

    def _set_aside(self, refused: Sequence[RefusedRow], what: str) -> None:
        self.meet("after 3")
        super()._set_aside(list(refused), what)
        self.meet("after 4")


def given(
    bootstrap: str,
    prefix: str,
    partitions: int,
    target: ClickHouseTarget,
    point: str = "never",
    how: signal.Signals = signal.SIGKILL,
) -> str:
    """The argument of a victim."""
    asked: dict[str, Any] = {"bootstrap": bootstrap, "prefix": prefix, "point": point, "how": how.name}
    asked["partitions"] = partitions
    asked["target"] = {"host": target.host, "port": target.port, "database": target.database}
    return json.dumps(asked | {"password": target.password})


def main(argument: str) -> None:
    asked = json.loads(argument)
    target = ClickHouseTarget(**asked["target"], username="writer", password=asked["password"])
    connection = KafkaConnection(asked["bootstrap"], session_timeout_ms=SESSION_MS)
    halt = threading.Event()
    dies = asked["how"] == "SIGKILL" and asked["point"] != "never"
    signal.signal(signal.SIGTERM, lambda *_: halt.set())
    victim = Victim(
        # Full flushes where there is enough for them, and so the same ones each time; the rest goes with the age.
        # Whoever is to die in a flush with a bad row takes no half one on the way there, however slow the machine is.
        replace(CONFIG, flush_rows=FLUSH_ROWS, flush_s=30.0 if dies else 1.0),
        connection,
        Topics(asked["prefix"], asked["partitions"], 1),
        lambda: Database.open(target),
        SystemClock(),
        halt,
        SinkMetrics(CollectorRegistry()),
        Health(),
    )
    victim.point, victim.how = asked["point"], signal.Signals[asked["how"]]
    victim.run()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A forwarder on a thread of the test's process, and what it has posted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from schemas.topics import Topics
from streamgauge.forwarding.config import ForwardConfig
from streamgauge.forwarding.forwarder import Forwarder

DEADLINE_S: Final = 60.0


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.02)


class Struck(BaseException):
    """The process has died here."""


@dataclass
class Running:
    """`ended`: what it ended with."""

    health: Health
    registry: CollectorRegistry
    halt: threading.Event
    ended: list[BaseException]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"streamgauge_forward_{name}", labels) or 0.0

    def is_ready(self) -> bool:
        assert not self.ended, self.ended
        return self.health.readiness().ok


@contextmanager
def forwarding(
    connection: KafkaConnection,
    topics: Topics,
    url: str,
    kind: type[Forwarder] = Forwarder,
    **more: Any,
) -> Iterator[Running]:
    """Runs until the block ends; whatever it ended with by itself is in `ended`."""
    fields: dict[str, Any] = {"retry_first_s": 0.05, "retry_cap_s": 0.2, "poll_s": 0.05, "timeout_s": 5.0} | more
    config = ForwardConfig(group=f"{topics.prefix}streamgauge.forward", url=url, **fields)
    running = Running(Health(), CollectorRegistry(), threading.Event(), [])
    forwarder = kind(config, connection, topics.alerts, SystemClock(), running.halt, running.registry, running.health)

    def run() -> None:
        try:
            forwarder.run()
        except BaseException as error:  # noqa: BLE001  judged by the test
            running.ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.halt.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


def states(bodies: Sequence[Any]) -> list[str]:
    """`firing, revision 0` of every posted alert, in order."""
    return [one["annotations"]["state"] for body in bodies for one in body]

"""`python -m tests.streams.agents.agents_process BOOTSTRAP PREFIX [METHOD:WHEN:CALL]`: run the agents until a signal
comes, or until the process kills itself before, in or after the CALL-th call of a keeper's METHOD.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.logs import configure_logs
from schemas.topics import Topics
from streams.agents.config import AgentsConfig
from streams.agents.kafka_store import KafkaStateStore
from streams.agents.keeper import ShardKeeper
from streams.agents.run import run_agents


def strike(method: str, when: str, call: int) -> None:
    """Let the process be killed there: `in` a commit is when everything is produced and nothing is committed."""
    owner: Any = KafkaStateStore if when == "in" else ShardKeeper
    name = "_retry" if when == "in" else method
    original: Callable[..., Any] = getattr(owner, name)
    left = call

    def struck(self: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal left
        if when == "in" and arguments[0] != "commit":
            return original(self, *arguments, **more)
        left -= 1
        due = left == 0
        if due and when != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(self, *arguments, **more)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, struck)


def main() -> None:
    bootstrap, prefix = sys.argv[1:3]
    if len(sys.argv) > 3:
        method, when, call = sys.argv[3].split(":")
        strike(method, when, int(call))
    configure_logs("INFO", "text", "agents")
    connection = KafkaConnection(bootstrap, session_timeout_ms=3_000, fetch_wait_ms=50)
    config = AgentsConfig(group=f"{prefix}streamgauge.agents", settle_ms=50, checkpoint_s=0.2)
    topics = Topics(prefix, event_partitions=2, tally_partitions=2)
    run_agents(config, connection, topics, SystemClock(), CollectorRegistry(), Health())


if __name__ == "__main__":
    main()

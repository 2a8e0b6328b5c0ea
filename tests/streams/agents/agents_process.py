"""`python -m tests.streams.agents.agents_process BOOTSTRAP PREFIX`: run the agents until a signal comes."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.logs import configure_logs
from schemas.topics import Topics
from streams.agents.config import AgentsConfig
from streams.agents.run import run_agents


def main() -> None:
    bootstrap, prefix = sys.argv[1:3]
    configure_logs("INFO", "text", "agents")
    connection = KafkaConnection(bootstrap, session_timeout_ms=6_000, fetch_wait_ms=50)
    config = AgentsConfig(group=f"{prefix}streamgauge.agents", settle_ms=50, checkpoint_s=0.2)
    topics = Topics(prefix, event_partitions=2, tally_partitions=2)
    run_agents(config, connection, topics, SystemClock(), CollectorRegistry(), Health())


if __name__ == "__main__":
    main()

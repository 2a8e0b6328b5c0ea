"""In: a role and its settings. Out: the role as a process: logs, health, metrics, Kafka reached, signals heard; then
the role's own loop.

A wrong setting ends the process at once; an outage is waited out.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry

from runtime.access import GROUPS
from runtime.admin import inspect_topics
from runtime.clock import Clock, SystemClock
from runtime.connection import KafkaConnection
from runtime.endpoint import Endpoint
from runtime.health import Health
from runtime.logs import configure_logs
from runtime.metrics import HealthMetrics
from runtime.progress_watch import ProgressWatch
from runtime.topic_guard import TopicGuard
from schemas.topics import Topics
from streamgauge.reach import KafkaUnreachable, reach_kafka
from streamgauge.registry import Registry, RegistryAccess
from streamgauge.settings.convert import kafka_connection, reveal, topic_names

if TYPE_CHECKING:
    from schemas.decoding import SchemaSource
    from streamgauge.settings import Settings

RoleName = Literal["enrich", "agents", "sink", "forward"]


class TopicsMissing(RuntimeError):
    """A role cannot begin without its topics."""


@dataclass(frozen=True)
class Role:
    """What every role's loop is handed."""

    settings: Settings
    connection: KafkaConnection
    topics: Topics
    clock: Clock
    halt: threading.Event
    registry: CollectorRegistry
    health: Health
    schemas: SchemaSource | None


def run_role(name: RoleName, settings: Settings, body: Callable[[Role], None]) -> None:
    """Run `body` until SIGTERM or SIGINT. Whatever it raises ends the process, and so do topics that change under it.
    SIGUSR1 prints the stacks of all threads.
    """
    configure_logs(settings.logs.level, settings.logs.form, role=name)
    if sys.stderr is not None:
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    halt = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        halt.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    registry, health = CollectorRegistry(), Health(stall_s=settings.http.stall_s)
    role = Role(
        settings,
        kafka_connection(settings, client_id=f"{settings.kafka.client_id}.{name}"),
        topic_names(settings),
        SystemClock(),
        halt,
        registry,
        health,
        schema_source(settings),
    )
    endpoint = Endpoint(health, registry, settings.http.host, settings.http.port) if settings.http.port else None
    if endpoint is not None:
        endpoint.start()
    try:
        if await_kafka(role):
            _require_topics(role, name)
            _watched(role, name, body)
    finally:
        if endpoint is not None:
            endpoint.stop()


def _watched(role: Role, name: RoleName, body: Callable[[Role], None]) -> None:
    """Run `body` beside the watch. Raises what the watch found fatal, else what `body` raises."""
    fatal: list[Exception] = []

    def end(found: Exception) -> None:
        if not fatal:
            fatal.append(found)
            # As if asked from outside: every role ends in order on this, and commits nothing that is not done.
            os.kill(os.getpid(), signal.SIGTERM)

    watch = ProgressWatch(
        role.connection,
        groups_of(name, role.topics, role.settings.forward.instance),
        role.health,
        HealthMetrics(role.registry),
        role.clock,
        TopicGuard(role.connection, role.topics, name),
        end,
    )
    watch.start()
    try:
        body(role)
    except Exception:
        if not fatal:
            raise
    finally:
        watch.stop()
    if fatal:
        raise fatal[0]


def groups_of(name: RoleName, topics: Topics, instance: str = "") -> dict[str, str]:
    """The consumer group by which a role reads each of its topics. `instance`: which of several forwarders."""
    group = f"{topics.prefix}{GROUPS[name]}"
    if name == "enrich":
        return {topics.events: group}
    if name == "agents":
        return {topics.tallies: group}
    if name == "forward":
        return {topics.alerts: f"{group}.{instance}" if instance else group}
    records = (topics.outcomes, topics.rejected, topics.alerts, topics.status, topics.adjustments)
    return {topics.enriched: group} | dict.fromkeys(records, f"{group}.records")


def schema_source(settings: Settings) -> Registry | None:
    """Who knows the schema ids of the Confluent framing; None where no registry is configured."""
    registry = settings.registry
    if registry.url is None:
        return None
    ca_file = str(registry.ca_file) if registry.ca_file else None
    return Registry(RegistryAccess(registry.url, registry.username, reveal(registry.password), ca_file))


def await_kafka(role: Role, step_s: float = 3.0) -> bool:
    """Wait until the cluster answers; False when told to stop meanwhile. KafkaUnreachable where waiting does
    not help.
    """
    import structlog

    log = structlog.get_logger("start")
    while not role.halt.is_set():
        try:
            reach_kafka(role.connection)
            return True
        except KafkaUnreachable as error:
            if not error.waiting_helps:
                raise
            role.health.failing(str(error))
            log.warning("kafka.waiting", why=str(error))
        role.halt.wait(step_s)
    return False


def _require_topics(role: Role, name: RoleName) -> None:
    """Raises TopicsMissing or PartitionMismatch: a worker that goes on without its topics is silently idle."""
    # Topics of other roles may be hidden from this one by its access rights.
    states = [
        state
        for state in inspect_topics(role.connection, role.topics)
        if name in state.spec.readers or name in state.spec.writers
    ]
    missing = [state.name for state in states if state.action == "missing"]
    if missing:
        raise TopicsMissing(f"topics are missing ({', '.join(missing)}): create them with `streamgauge topics`")

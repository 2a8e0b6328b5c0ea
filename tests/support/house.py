"""In: a Kafka and a folder. Out: the whole house on them: topics, ClickHouse over HTTP, each role as its own process.

Unlike the local runtime's House it brings no broker of its own, so that the same test runs on Apache Kafka.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.control.records import ControlRecord, record_key
from schemas.topics import Topics
from streamgauge.apply.plan import Change, Plan
from streamgauge.apply.publish import publish_plan
from streamgauge.embedded.child import LOOPBACK
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streamgauge.local.process import RoleProcess

USER_KEY: Final = "a key for tests, 16+"
READY_S: Final = 90.0


class TestHouse:
    """`with TestHouse(…) as house:` has topics and ClickHouse; `start` runs roles, `query` asks as an analyst."""

    __test__ = False

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        prefix: str,
        roles: Sequence[str] = ("sink", "agents", "enrich"),
        partitions: tuple[int, int] = (4, 4),
        environment: Mapping[str, str] | None = None,
        http_port: int | None = None,
    ) -> None:
        self.connection = KafkaConnection(bootstrap, session_timeout_ms=6_000, fetch_wait_ms=50)
        self.topics = Topics(prefix, *partitions)
        self._folder = folder
        self._more = dict(environment or {})
        self._clickhouse = EmbeddedClickHouse(folder / "clickhouse", port=http_port, log_path=folder / "clickhouse.log")
        self.roles = {name: RoleProcess(name, folder / f"{name}.log") for name in roles}
        self._client: Client | None = None

    def __enter__(self) -> Self:
        create_topics(self.connection, self.topics, replication=1)
        self._clickhouse.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._client is not None:
            self._client.close()
        for role in self.roles.values():
            role.ask_to_stop()
        for role in self.roles.values():
            role.stop()
        self._clickhouse.stop()

    def apply(self, *records: ControlRecord) -> None:
        changes = tuple(Change("create", record_key(record), record) for record in records)
        publish_plan(Plan(changes, 0, 0), self.connection, self.topics)

    def start(self, *names: str) -> None:
        """Start roles and wait until each is ready. AssertionError with the end of its log when one ends by itself."""
        for name in names or tuple(self.roles):
            self.roles[name].start(self.environment())
        for name in names or tuple(self.roles):
            role = self.roles[name]
            wait_for(lambda role=role: self._is_ready(role), READY_S, f"{name} to be ready")  # type: ignore[misc]

    @property
    def clickhouse(self) -> EmbeddedClickHouse:
        """The engine's process, for tests that stop it; it keeps its port only where the house was given one."""
        return self._clickhouse

    def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """Rows of an analyst's query, over HTTP."""
        if self._client is None:
            self._client = clickhouse_connect.get_client(host=LOOPBACK, port=self._clickhouse.port)
        return self._client.query(sql).result_rows

    def forget_client(self) -> None:
        """Ask anew where ClickHouse is: it was started again elsewhere."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("STREAMGAUGE_")}
        return mine | {
            "STREAMGAUGE_CONFIG": os.devnull,
            "STREAMGAUGE_KAFKA__BOOTSTRAP": self.connection.bootstrap,
            "STREAMGAUGE_KAFKA__SESSION_TIMEOUT_MS": str(self.connection.session_timeout_ms),
            "STREAMGAUGE_KAFKA__FETCH_WAIT_MS": str(self.connection.fetch_wait_ms),
            "STREAMGAUGE_TOPICS__PREFIX": self.topics.prefix,
            "STREAMGAUGE_TOPICS__EVENT_PARTITIONS": str(self.topics.event_partitions),
            "STREAMGAUGE_TOPICS__TALLY_PARTITIONS": str(self.topics.tally_partitions),
            "STREAMGAUGE_CLICKHOUSE__HOST": LOOPBACK,
            "STREAMGAUGE_CLICKHOUSE__PORT": str(self._clickhouse.port),
            "STREAMGAUGE_CLICKHOUSE__USER": "writer",
            "STREAMGAUGE_CLICKHOUSE__PASSWORD": self._clickhouse.writer_password,
            "STREAMGAUGE_ENRICH__USER_KEY": USER_KEY,
            # What ClickHouse adds to an alert comes when it comes: tests of sequences do without.
            "STREAMGAUGE_AGENTS__INVESTIGATE": "false",
            "PYTHONUNBUFFERED": "1",
            **self._more,
        }

    def _is_ready(self, role: RoleProcess) -> bool:
        if not role.alive:
            raise AssertionError(f"{role.name} ended with code {role.exit_code}:\n{role.log_tail(30)}")
        return role.readiness().ok


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until `condition` holds; AssertionError naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)

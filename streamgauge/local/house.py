"""In: a folder, two ports, settings. Out: broker, ClickHouse and all roles, started in order, watched, and stopped in
order.

Nothing is restarted silently: a part that dies brings the house down with the end of its log.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from sinks.config import ClickHouseTarget
from streamgauge.embedded.broker import EmbeddedBroker
from streamgauge.embedded.child import LOOPBACK
from streamgauge.embedded.clickhouse import EmbeddedClickHouse
from streamgauge.local.folder import Folder
from streamgauge.local.process import RoleProcess
from streamgauge.local.state import (
    WRITER,
    LocalState,
    local_user_key,
    local_writer_password,
    process_started,
    publish_local,
    withdraw_local,
)

#: The order of the data: who reads is up before who writes, so that nothing piles up.
ROLES: Final = ("sink", "agents", "enrich")
READY_DEADLINE_S: Final = 90.0
#: Tansu's first JoinGroup answers after half of the session timeout.
SESSION_TIMEOUT_MS: Final = 6_000
#: Tansu holds every fetch for half of this, also one that finds something.
FETCH_WAIT_MS: Final = 50
EVENT_PARTITIONS: Final = 4
TALLY_PARTITIONS: Final = 2
DATABASE: Final = "streamgauge"

Said = Callable[[str], None]


class HouseError(RuntimeError):
    """A part did not start or ended by itself; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class HousePlan:
    """`kafka_port`, `http_port` None: any free one. `environment`: settings of the roles, as environment variables.

    `publish`: leave a file by which other commands find it. `without`: roles that are started by somebody else.
    """

    data_dir: Path
    kafka_port: int | None
    http_port: int | None
    environment: Mapping[str, str] = field(default_factory=dict)
    publish: bool = True
    without: tuple[str, ...] = ()


class House:
    """`with House(plan) as house:` runs it; `watch` raises HouseError when a part died. Use it from the main thread."""

    def __init__(self, plan: HousePlan, said: Said = lambda _line: None) -> None:
        self._plan = plan
        self._said = said
        self._folder = Folder(plan.data_dir)
        # A fresh id for every life of the in-memory broker: its offsets begin again, and ClickHouse's ledger must not
        # take them for the offsets of the life before.
        self._broker = EmbeddedBroker(
            plan.kafka_port, cluster_id=f"local-{secrets.token_hex(8)}", log_path=self._folder.log("broker")
        )
        self._clickhouse = EmbeddedClickHouse(
            self._folder.clickhouse, port=plan.http_port, log_path=self._folder.log("clickhouse")
        )
        self._roles = [RoleProcess(name, self._folder.log(name)) for name in ROLES if name not in plan.without]
        self.topics = Topics("", EVENT_PARTITIONS, TALLY_PARTITIONS)

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(
            self._broker.bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS, fetch_wait_ms=FETCH_WAIT_MS
        )

    @property
    def reader(self) -> ClickHouseTarget:
        """ClickHouse as analysts reach it."""
        return ClickHouseTarget(LOOPBACK, self._clickhouse.port, database=DATABASE)

    @property
    def state(self) -> LocalState:
        """Where everything is; only while it runs."""
        return LocalState(
            pid=os.getpid(),
            started=process_started(os.getpid()) or "unknown",
            data_dir=str(self._folder.path),
            bootstrap=self._broker.bootstrap,
            http_host=LOOPBACK,
            http_port=self._clickhouse.port,
            database=DATABASE,
            event_partitions=EVENT_PARTITIONS,
            tally_partitions=TALLY_PARTITIONS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            fetch_wait_ms=FETCH_WAIT_MS,
        )

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each role serves /live, /ready and /metrics, in the order of the data's way."""
        return {role.name: f"http://{LOOPBACK}:{role.port}" for role in reversed(self._roles)}

    def start(self) -> None:
        """Start everything; returns when every role is ready. On an error all of it is stopped again.

        1. lock the folder: two houses on one folder would share a database.
        2. broker, ClickHouse: a port in use ends it here.
        3. topics: a role that finds none is silently idle.
        4. roles, readers first; wait until each says that it is ready.
        5. publish where it is: other commands find a house that works.
        """
        self._folder.acquire()
        try:
            self._said("broker")
            self._broker.start()
            self._said("ClickHouse")
            # Kept in the folder, so that commands which write find it too.
            self._clickhouse.writer_password = local_writer_password(self._folder.path)
            self._clickhouse.start()
            self._said("topics")
            create_topics(self.connection, self.topics, replication=1)
            environment = self._role_environment()
            for role in self._roles:
                role.start(environment)
            self._await_roles()
            if self._plan.publish:
                publish_local(self.state)
        except BaseException:
            self.stop()
            raise

    def watch(self) -> None:
        """Raise HouseError if a part is no longer there."""
        for name, alive, tail in (
            ("the broker", self._broker.alive, self._broker.log_tail),
            ("ClickHouse", self._clickhouse.alive, self._clickhouse.log_tail),
        ):
            if not alive:
                raise HouseError(
                    f"{name} ended by itself; the end of its log ({self._folder.path / 'logs'}):\n{tail()}"
                )
        for role in self._roles:
            if not role.alive:
                raise HouseError(
                    f"{role.name} ended by itself with code {role.exit_code}; "
                    f"the end of {role.log_path}:\n{role.log_tail()}"
                )

    def stop(self) -> None:
        """Stop in the order of the data, so that what was read is also written. Harmless when nothing runs."""
        if not self._folder.held:
            # Nothing was started, and what the folder says is somebody else's.
            return
        if self._plan.publish:
            withdraw_local(self._folder.path)
        for role in reversed(self._roles):
            role.ask_to_stop()
        for role in reversed(self._roles):
            role.stop()
        self._clickhouse.stop()
        self._broker.stop()
        self._folder.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def is_idle(self, name: str) -> bool:
        """Whether a role has read its input to the end."""
        return next(role for role in self._roles if role.name == name).liveness().idle

    def _await_roles(self) -> None:
        deadline = time.monotonic() + READY_DEADLINE_S
        waiting = list(self._roles)
        while waiting:
            self.watch()
            for role in list(waiting):
                verdict = role.readiness()
                if verdict.ok:
                    self._said(role.name)
                    waiting.remove(role)
                elif time.monotonic() > deadline:
                    raise HouseError(
                        f"{role.name} was not ready within {READY_DEADLINE_S:.0f} s ({verdict.reason}); "
                        f"the end of {role.log_path}:\n{role.log_tail()}"
                    )
            time.sleep(0.1)

    def _role_environment(self) -> dict[str, str]:
        """Our own environment without settings, then what this house says: a role must not meet somebody's
        production.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("STREAMGAUGE_")}
        return {
            **inherited,
            **self._plan.environment,
            "STREAMGAUGE_CONFIG": os.devnull,
            "STREAMGAUGE_KAFKA__BOOTSTRAP": self._broker.bootstrap,
            "STREAMGAUGE_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
            "STREAMGAUGE_KAFKA__FETCH_WAIT_MS": str(FETCH_WAIT_MS),
            "STREAMGAUGE_TOPICS__EVENT_PARTITIONS": str(EVENT_PARTITIONS),
            "STREAMGAUGE_TOPICS__TALLY_PARTITIONS": str(TALLY_PARTITIONS),
            "STREAMGAUGE_CLICKHOUSE__HOST": LOOPBACK,
            "STREAMGAUGE_CLICKHOUSE__PORT": str(self._clickhouse.port),
            "STREAMGAUGE_CLICKHOUSE__USER": WRITER,
            "STREAMGAUGE_CLICKHOUSE__PASSWORD": self._clickhouse.writer_password,
            "STREAMGAUGE_CLICKHOUSE__DATABASE": DATABASE,
            "STREAMGAUGE_ENRICH__USER_KEY": local_user_key(self._folder.path),
            # So that a role's log shows what it said last, also when it is killed.
            "PYTHONUNBUFFERED": "1",
        }

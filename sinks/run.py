"""In: Kafka topics. Out: rows in ClickHouse. The whole sink role: migrate, then write until told to stop.

Two threads, each with a database client of its own: one writes `usage.enriched`, the other the topics of records. When
one fails the other is told to stop, finishes the insert in hand, and commits nothing that is not in ClickHouse; the
first failure is raised, and a second one is logged.
"""

from __future__ import annotations

import threading
from concurrent.futures import wait
from functools import partial
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import SinkMetrics
from schemas.decoding import SchemaSource
from schemas.topics import Topics
from sinks.config import ClickHouseTarget, SinkConfig
from sinks.database import Database
from sinks.errors import SinkError, code_of, verdict
from sinks.events.enriched_writer import EnrichedWriter
from sinks.group.errand import begin
from sinks.migrate import Migration, has_access_control, migrate
from sinks.records.records_writer import RecordsWriter
from sinks.retention import apply_retention

_log = structlog.get_logger("sink")

#: What ClickHouse says when two sinks that start at once change the same table or view: both changes are the same and
#: can be repeated. UNKNOWN_TABLE, TABLE_ALREADY_EXISTS, DATABASE_ALREADY_EXISTS, DEADLOCK_AVOIDED, CANNOT_ASSIGN_ALTER.
_RACES: Final = frozenset({60, 57, 82, 473, 517})
_MAX_RACES: Final = 5


def run_sink(
    config: SinkConfig,
    connection: KafkaConnection,
    topics: Topics,
    target: ClickHouseTarget,
    clock: Clock,
    halt: threading.Event,
    registry: CollectorRegistry,
    health: Health,
    schemas: SchemaSource | None,
) -> None:
    """Write until `halt` is set. Raises on a fatal error: data that ClickHouse refuses, an edited migration, lost
    topics.
    """
    metrics = SinkMetrics(registry)
    if config.migrate:
        prepare(config, target, clock, halt, health)
    if halt.is_set():
        return
    open_database = partial(Database.open, target, compression=config.compression)
    both = threading.Event()
    events = EnrichedWriter(config, connection, topics, open_database, clock, both, metrics, health.part("events"))
    records = RecordsWriter(
        config, connection, topics, open_database, clock, both, metrics, health.part("records"), schemas
    )
    failures: list[BaseException] = []

    def guarded(writer: EnrichedWriter | RecordsWriter) -> None:
        try:
            writer.run()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failures.append(error)
            _log.error("sink.failed", writer=threading.current_thread().name, error=str(error))
        finally:
            both.set()

    threads = [
        threading.Thread(target=guarded, args=(writer,), name=name)
        for name, writer in (("sink-events", events), ("sink-records", records))
    ]
    for thread in threads:
        thread.start()
    while not halt.is_set() and not both.wait(0.2):
        pass
    both.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def prepare(
    config: SinkConfig, target: ClickHouseTarget, clock: Clock, halt: threading.Event, health: Health | None = None
) -> None:
    """Make the database, its tables and views, and their TTLs what they should be. Waits for a ClickHouse that is
    away.
    """
    wait_s, races = config.retry_first_s, 0
    while not halt.is_set():
        errand = begin(lambda: _prepare(config, target, clock))
        try:
            # A ClickHouse that takes the connection and does not answer keeps nobody from stopping.
            while not wait([errand], 0.2).done:
                if halt.is_set():
                    return
            done, changed = errand.result()
        except SinkError:
            raise
        except Exception as error:
            racing = code_of(error) in _RACES and races < _MAX_RACES
            if verdict(error) != "transient" and not racing:
                raise SinkError(f"ClickHouse at {_where(target)} does not take the schema: {_advice(error)}") from error
            races += racing
            if health is not None:
                health.failing(f"ClickHouse at {_where(target)} does not take the schema: {error}")
            _log.warning("sink.waiting", what="the schema", code=code_of(error), retry_in_s=wait_s, error=str(error))
            halt.wait(wait_s)
            wait_s = min(wait_s * 2, config.retry_cap_s)
            continue
        for migration in done:
            _log.info("sink.migrated", version=migration.version, name=migration.name)
        if changed:
            _log.info("sink.retention", tables=changed)
        return


def _prepare(config: SinkConfig, target: ClickHouseTarget, clock: Clock) -> tuple[list[Migration], list[str]]:
    with Database.open(target, create=True) as database:
        done = migrate(database, clock, has_access_control=has_access_control(database))
        return done, apply_retention(database, config.retention)


def _where(target: ClickHouseTarget) -> str:
    port = target.port or (8443 if target.tls is not None else 8123)
    return str(target.chdb_path) if target.chdb_path is not None else f"{target.host}:{port}"


def _advice(error: Exception) -> str:
    """What to do about the two mistakes that everybody makes once; ClickHouse's own words for the rest."""
    text = str(error)
    if "AUTHENTICATION_FAILED" in text:
        return "the login is refused: check clickhouse.user and STREAMGAUGE_CLICKHOUSE__PASSWORD"
    if "READONLY" in text or "ACCESS_DENIED" in text:
        return f"the user may not write: set clickhouse.user to one that may create tables and insert ({text})"
    return text

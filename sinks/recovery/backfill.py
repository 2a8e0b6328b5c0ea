"""In: what Kafka still holds. Out: ClickHouse with all of it again, by the sink's own writers, once each.

While no sink runs:

1. make the tables and views that are missing: all migrations again, which are written to be repeated;
2. take back from the ledger what it calls applied and what is not there, so that it is read again; ClickHouse forgets
   the tokens of earlier inserts, by which it would take the repeat for one that it has;
3. set the group of the records to the beginning of each partition, and the hints of the events to where the ledger goes
   on;
4. run the sink until it has read all that stood on the topics when it began.

A crash after 1, 2 or 3, or anywhere in 4, loses nothing: whoever starts next, this or a plain sink, goes on from the
ledger and from the group's offsets, which stand behind what is in ClickHouse and never before it. Run twice, every row
replaces itself. A sink that starts afterwards goes on where this ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from runtime.admin import list_partitions
from runtime.clock import Clock
from runtime.connection import KafkaConnection
from runtime.group_admin import require_empty, set_offsets
from runtime.group_offsets import GroupOffsets
from runtime.health import Health
from runtime.log_identity import log_identity
from runtime.standstill import Look, Place
from schemas.decoding import SchemaSource
from schemas.topics import Topics
from sinks.config import ClickHouseTarget, SinkConfig
from sinks.database import Database, read_sql, split_statements
from sinks.errors import SinkError, code_of
from sinks.events.ledger import chain_end
from sinks.recovery.holdings import EventsHeld, Holdings, missing_tables, record_topics, survey
from sinks.run import prepare, run_sink

_log = structlog.get_logger("backfill")

#: Nothing has moved for this long and both writers say that their input is empty: what is left is no whole range.
_QUIET_S: Final = 20.0
_STEP_S: Final = 0.5
_NO_DATABASE: Final = 81

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill works with; `clock` and `schemas` as the sink takes them."""

    config: SinkConfig
    connection: KafkaConnection
    topics: Topics
    target: ClickHouseTarget
    clock: Clock
    schemas: SchemaSource | None

    @property
    def group(self) -> str:
        return f"{self.topics.prefix}{self.config.group}"

    def holdings(self) -> Holdings:
        """What is held and what is lost; changes nothing."""
        ask = partial(
            survey,
            self.connection,
            self.topics,
            self.group,
            list_partitions(AdminClient(self.connection.librdkafka())),
            log=log_identity(self.connection, self.topics.events),
        )
        try:
            database = Database.open(self.target)
        except Exception as error:
            if code_of(error) != _NO_DATABASE:
                raise
            return ask(database=None)
        with database:
            return ask(database=database)

    def run(self, halt: threading.Event, report: Report | None = None) -> Holdings:
        """Fill ClickHouse; gives what was found before. `report` is told messages done and in all.

        Raises GroupInUse while a sink runs; SinkError and KafkaException as the sink does.
        """
        self._require_no_sink()
        before = self.holdings()
        self._make_tables(halt)  # 1
        log = log_identity(self.connection, self.topics.events)
        with Database.open(self.target) as database:
            for one in self.holdings().events:
                if one.rows_missing:
                    _take_back(database, log, one)  # 2
            targets = self._set_out(database)  # 3
        self._fill(halt, targets, report)  # 4
        return before

    def _require_no_sink(self) -> None:
        for group in (self.group, f"{self.group}.records"):
            require_empty(self.connection, group, "before ClickHouse is filled again")

    def _make_tables(self, halt: threading.Event) -> None:
        absent = self._missing_tables()
        if absent and not self.config.migrate:
            raise SinkError(
                f"{', '.join(absent)} are not in {self.target.database}, and sink.migrate is off: have whoever "
                "applies the migrations do so again"
            )
        if absent:
            _log.warning("backfill.tables_missing", tables=absent)
            with Database.open(self.target, create=True) as database:
                # Their files may be recorded as applied; all of them are written to be repeated.
                database.command("TRUNCATE TABLE IF EXISTS schema_migrations")
        prepare(self.config, self.target, self.clock, halt)

    def _missing_tables(self) -> list[str]:
        try:
            with Database.open(self.target) as database:
                return missing_tables(database)
        except Exception as error:
            if code_of(error) != _NO_DATABASE:
                raise
            return ["all of them"]

    def _set_out(self, database: Database) -> dict[Place, Look]:
        """Step 3. What has to be reached, by place."""
        counts = list_partitions(AdminClient(self.connection.librdkafka()))
        log = log_identity(self.connection, self.topics.events)
        targets: dict[Place, Look] = {}
        for group, topics in self._groups().items():
            places = [Place(topic, partition) for topic in topics for partition in range(counts.get(topic, 0))]
            reader = GroupOffsets(self.connection, group)
            try:
                looks = reader.looks(places)
            finally:
                reader.close()
            starts = []
            for place, look in looks.items():
                end = chain_end(database, log, place.partition) if place.topic == self.topics.enriched else None
                start = end.resume if end is not None and look.low <= end.resume <= look.end else look.low
                starts.append(TopicPartition(place.topic, place.partition, start))
                targets[place] = Look(start, None, look.low, look.end)
            set_offsets(self.connection, group, starts)
        return targets

    def _groups(self) -> dict[str, tuple[str, ...]]:
        return {self.group: (self.topics.enriched,), f"{self.group}.records": record_topics(self.topics)}

    def _fill(self, halt: threading.Event, targets: Mapping[Place, Look], report: Report | None) -> None:
        """Step 4."""
        enough, health, failures = threading.Event(), Health(self.clock), list[Exception]()

        def write() -> None:
            try:
                run_sink(
                    self.config,
                    self.connection,
                    self.topics,
                    self.target,
                    self.clock,
                    enough,
                    CollectorRegistry(),
                    health,
                    self.schemas,
                )
            except Exception as error:  # noqa: BLE001 - raised again below, in the thread that asked
                failures.append(error)
                enough.set()

        writing = threading.Thread(target=write, name="backfill")
        writing.start()
        try:
            self._await(targets, health, enough, halt, report)
        finally:
            enough.set()
            writing.join()
        if failures:
            raise failures[0]

    def _await(
        self,
        targets: Mapping[Place, Look],
        health: Health,
        ended: threading.Event,
        halt: threading.Event,
        report: Report | None,
    ) -> None:
        """Until every target is reached, the writers end, or somebody asks us to stop."""
        readers = {
            topic: reader
            for group, topics in self._groups().items()
            for reader in [GroupOffsets(self.connection, group)]
            for topic in topics
        }
        total = sum(look.waiting for look in targets.values())
        left, moved_at = total, time.monotonic()
        try:
            while left and not halt.is_set() and not ended.wait(_STEP_S):
                now_left = sum(_left(readers[topic], topic, targets) for topic in readers)
                if now_left != left:
                    left, moved_at = now_left, time.monotonic()
                    if report is not None:
                        report(total - left, total)
                elif health.liveness().idle and time.monotonic() - moved_at > _QUIET_S:
                    _log.info("backfill.end_is_unfinished", messages=left)
                    return
        finally:
            for reader in set(readers.values()):
                reader.close()


def _left(reader: GroupOffsets, topic: str, targets: Mapping[Place, Look]) -> int:
    """Messages of a topic up to the targets that are not yet done."""
    mine = {place: look for place, look in targets.items() if place.topic == topic}
    left = {
        place: max(0, mine[place].end - max(look.committed, mine[place].low))
        for place, look in reader.looks(list(mine)).items()
    }
    near = {place: mine[place].end - count for place, count in left.items() if 0 < count <= 2}
    # The end of a transaction takes an offset too, which no reader ever commits.
    for place, found in (reader.holds_record(near) if near else {}).items():
        if not found:
            left[place] = 0
    return sum(left.values())


def _take_back(database: Database, log: str, held: EventsHeld) -> None:
    """Step 2 for one partition."""
    if held.first is None:
        return
    _log.warning("backfill.rows_missing", partition=held.held.place.partition, ledger=held.expected, rows=held.rows)
    parameters = {"log": log, "partition": held.held.place.partition, "first": held.first}
    for statement in split_statements(read_sql("recovery", "take_back.sql")):
        database.command(statement, parameters if "{log:" in statement else None)

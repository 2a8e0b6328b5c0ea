"""In: Kafka and ClickHouse. Out: what Kafka still holds of what ClickHouse should have, what ClickHouse lacks of that,
and what lies before it and cannot be had back.

Asks and reads only. Events are counted by source position: the ledger says how many rows each range has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime.connection import KafkaConnection
from runtime.group_offsets import GroupOffsets
from runtime.standstill import Look, Place
from runtime.watermarks import is_transient
from schemas.positions import read_range
from schemas.topics import Topics
from sinks.database import Database, read_sql
from sinks.migrate import known_migrations

#: How long the first message of a partition may take to come.
_FIRST_S: Final = 30.0
_MADE: Final = re.compile(r"^CREATE (?:TABLE IF NOT EXISTS|OR REPLACE VIEW) (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Held:
    """What Kafka holds of one partition: offsets [low, end), the oldest from `since` (None: it is empty)."""

    place: Place
    low: int
    end: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class EventsHeld:
    """One partition of usage.enriched against ClickHouse.

    `first`: the first source offset that is still to be had whole; None: nothing is. `applied`: up to where the ledger
    reaches before `first`. `expected` and `rows`: rows of usage_events_raw from `first` on, as the
    ledger says and as there are. `older_expected` and `older_rows`: the same before `first`.
    """

    held: Held
    first: int | None
    applied: int
    expected: int
    rows: int
    older_expected: int
    older_rows: int

    @property
    def rows_missing(self) -> bool:
        """The ledger calls applied what is not there, so it has to be read again."""
        return self.rows < self.expected

    @property
    def lost(self) -> str | None:
        """What neither has any more."""
        if self.first is not None and self.applied < self.first:
            return f"source offsets {self.applied} to {self.first - 1}: the topic begins behind them"
        if self.older_rows < self.older_expected:
            return (
                f"{self.older_expected - self.older_rows} rows that the topic no longer holds "
                "(late resends that merges have dropped are among them)"
            )
        return None


@dataclass(frozen=True, slots=True)
class Holdings:
    """`missing_tables`: tables and views that ClickHouse should have and has not."""

    missing_tables: tuple[str, ...]
    events: tuple[EventsHeld, ...]
    records: tuple[Held, ...]


def record_topics(topics: Topics) -> tuple[str, ...]:
    """What the sink reads beside usage.enriched."""
    return (topics.outcomes, topics.rejected, topics.alerts, topics.status, topics.adjustments)


def missing_tables(database: Database) -> list[str]:
    """Tables and views that the migrations make and that are not there."""
    made = {name for migration in known_migrations() for name in _MADE.findall(migration.text)}
    rows = database.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    return sorted(made - {name for (name,) in rows})


def survey(
    connection: KafkaConnection, topics: Topics, group: str, counts: dict[str, int], database: Database | None, log: str
) -> Holdings:
    """`counts`: partitions by topic. `database` None: there is none yet. KafkaException, and the driver's errors."""
    absent = ["all of them"] if database is None else missing_tables(database)
    there = None if database is None or {"usage_ledger", "usage_events_raw"} & set(absent) else database
    names = (topics.enriched, *record_topics(topics))
    places = [Place(name, partition) for name in names for partition in range(counts.get(name, 0))]
    offsets = GroupOffsets(connection, group)
    try:
        looks = offsets.looks(places)
    finally:
        offsets.close()
    reader = Consumer(connection.consumer(group, enable_partition_eof=True, isolation_level="read_committed"))
    try:
        events, records = [], []
        for place in sorted(looks):
            first, message = _first(reader, place, looks[place], whole=place.topic == topics.enriched)
            held = Held(place, looks[place].low, looks[place].end, _time(message))
            if place.topic != topics.enriched:
                records.append(held)
            elif there is None:
                events.append(EventsHeld(held, first, 0, 0, 0, 0, 0))
            else:
                events.append(_against(there, log, held, first))
    finally:
        reader.close()
    return Holdings(tuple(absent), tuple(events), tuple(records))


def _against(database: Database, log: str, held: Held, first: int | None) -> EventsHeld:
    parameters = {"log": log, "partition": held.place.partition, "first": 2**62 if first is None else first}
    [(expected, older_expected, applied)] = database.query(read_sql("recovery", "holdings_ledger.sql"), parameters)
    [(rows, older_rows)] = database.query(read_sql("recovery", "holdings_rows.sql"), parameters)
    return EventsHeld(held, first, applied, expected, rows, older_expected, older_rows)


def _first(reader: Consumer, place: Place, look: Look, *, whole: bool) -> tuple[int | None, Message | None]:
    """The first record of a partition; with `whole`, the first that begins a source range, and that range's offset."""
    if look.low >= look.end:
        return None, None
    reader.assign([TopicPartition(place.topic, place.partition, look.low)])
    try:
        while (message := reader.poll(_FIRST_S)) is not None:
            error = message.error()
            if error is None:
                if not whole:
                    return None, message
                source = read_range(message.headers())
                if source.part == 0:
                    return source.first, message
            elif error.code() == KafkaError._PARTITION_EOF:
                return None, None
            elif not is_transient(error):
                raise KafkaException(error)
    finally:
        reader.unassign()
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{place.topic}[{place.partition}] gives no first record"))


def _time(message: Message | None) -> datetime | None:
    return None if message is None else datetime.fromtimestamp(message.timestamp()[1] / 1_000, UTC)


def oldest(held: Sequence[Held]) -> datetime | None:
    """The oldest record among partitions of one topic."""
    return min((one.since for one in held if one.since is not None), default=None)

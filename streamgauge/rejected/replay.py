"""In: refused events. Out: the same bytes on their topic again, or the same row in ClickHouse; each noted once done.

For each event:

1. send it, and wait until the broker has it (a row that ClickHouse had refused: insert it under its own token);
2. note it in `rejected_replays`.

A crash between 1 and 2 leaves it unnoted, and the next command sends it again: enrich counts an event once by its
source and id, and ClickHouse takes one row by its token. What is refused again is a new rejection at its new position.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaError, Message, Producer

from runtime.connection import KafkaConnection
from schemas.arrow_ipc import from_ipc
from schemas.enriched import ENRICHED
from schemas.topics import Topics
from sinks.corrections.rejected import EVENTS_TABLE, Place, Refused, Replayed, note
from sinks.database import Database
from streamgauge.rejected.advice import ADVICE

#: Header of a message that was sent again: the position of the refused one.
REPLAY_HEADER: Final = "sg-replay-of"
_ANSWER_S: Final = 60.0
#: Messages that are on their way at once.
_AT_ONCE: Final = 500


class ReplayFailed(RuntimeError):
    """Kafka did not take a message; what was noted before stays sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event: `to` where it went, else `why` it did not."""

    refused: Refused
    to: Place | None
    why: str | None = None


def obstacle(refused: Refused) -> str | None:
    """Why this event cannot be sent again; None: it can."""
    advice = ADVICE.get(refused.code)  # type: ignore[call-overload]
    if advice is None:
        return f"its code {refused.code} is not known to this version: upgrade first"
    if refused.raw_truncated:
        kept = len(refused.raw or b"")
        return f"only {kept:,} of its {refused.raw_bytes:,} bytes were kept: the sender must send it anew"
    if refused.raw_bytes == 0:
        return "the message is empty"
    never: str | None = advice.never
    return never


class Replayer:
    """Sends refused events again. Not thread-safe."""

    def __init__(self, connection: KafkaConnection, topics: Topics, database: Database, who: str) -> None:
        self._topics, self._database, self._who = topics, database, who
        self._producer = Producer(connection.librdkafka(enable_idempotence=True, acks="all"))

    def replay(self, refused: Iterable[Refused], now: datetime) -> Iterator[Outcome]:
        """One outcome for each, in order; `raw` must be there. ReplayFailed when Kafka does not answer."""
        waiting: list[Refused] = []
        for one in refused:
            why = obstacle(one)
            if why is not None:
                yield Outcome(one, None, why)
            elif one.code == "refused_by_clickhouse":
                yield self._insert(one, now)
            else:
                waiting.append(one)
                if len(waiting) == _AT_ONCE:
                    yield from self._send(waiting, now)
                    waiting = []
        yield from self._send(waiting, now)

    def target(self, refused: Refused) -> tuple[str, int]:
        """Topic and partition to send to. Resends are recognised within a partition, so the event id decides."""
        topic, partitions = refused.place.topic, self._topics.event_partitions
        if refused.code == "refused_by_clickhouse":
            return EVENTS_TABLE, refused.place.partition
        if topic not in (self._topics.events, self._topics.outcomes):
            raise ReplayFailed(
                f"{refused.place} stands on {topic}, which is no topic of this installation: set topics.prefix to that "
                "of the one that refused it"
            )
        if refused.event_id is not None:
            return topic, zlib.crc32(refused.event_id.encode()) % partitions
        return topic, refused.place.partition % partitions

    def _send(self, events: list[Refused], now: datetime) -> Iterator[Outcome]:
        placed: dict[int, Place] = {}
        failed: list[KafkaError] = []

        def telling(number: int) -> Callable[[KafkaError | None, Message], None]:
            def told(error: KafkaError | None, message: Message) -> None:
                if error is not None:
                    failed.append(error)
                else:
                    placed[number] = Place(str(message.topic()), message.partition() or 0, message.offset() or 0)

            return told

        # 1. Send, and wait for the broker's word.
        for number, one in enumerate(events):
            topic, partition = self.target(one)
            self._producer.produce(
                topic,
                one.raw,
                key=None if one.event_id is None else one.event_id.encode(),
                partition=partition,
                headers=[(REPLAY_HEADER, str(one.place).encode())],
                on_delivery=telling(number),
            )
        left = self._producer.flush(_ANSWER_S) if events else 0
        # 2. Note what is there, also when a neighbour is not.
        for number, one in enumerate(events):
            if number in placed:
                note(self._database, one, Replayed(now, self._who, placed[number]))
                yield Outcome(one, placed[number])
        if left or failed:
            why = failed[0].str() if failed else f"no answer in {_ANSWER_S:.0f} s"
            raise ReplayFailed(f"{len(events) - len(placed)} events could not be sent: {why}. Run this again for them")

    def _insert(self, one: Refused, now: datetime) -> Outcome:
        table = from_ipc(one.raw, ENRICHED)
        rows = table.append_column("log", pa.array([one.log] * table.num_rows, pa.utf8()))
        place = one.place
        try:
            # 1. The token makes a repeat insert nothing.
            self._database.insert(
                EVENTS_TABLE, rows, f"replay:{one.log}:{place.partition}:{place.offset}:{place.index}"
            )
        except ClickHouseError as error:
            return Outcome(one, None, f"ClickHouse refuses it again: {error}")
        # 2. Note it: the ledger's `refused` minus these is what usage_events_raw lacks.
        to = Place(EVENTS_TABLE, place.partition, place.offset)
        note(self._database, one, Replayed(now, self._who, to))
        return Outcome(one, to)

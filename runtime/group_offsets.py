"""In: a consumer group and partitions. Out: how far it has come, and whether anything is left to read there.

Asks as a bystander: never joins the group and never commits, so it disturbs no member.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime.connection import KafkaConnection
from runtime.standstill import NOTHING_COMMITTED, Look, Place
from runtime.watermarks import committed_offsets, is_transient

#: How long a fetch is waited for that shows whether a record stands at an offset.
_FETCH_S: Final = 5.0
_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class GroupOffsets:
    """One group, seen from outside. Not thread-safe. Questions raise KafkaException when Kafka does not answer."""

    def __init__(self, connection: KafkaConnection, group: str, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._admin = AdminClient(connection.librdkafka(log_level=0))
        config = connection.consumer(
            group,
            enable_partition_eof=True,
            isolation_level="read_committed",
            # One record is enough to see that there is one.
            fetch_message_max_bytes=64_000,
            queued_max_messages_kbytes=1_024,
        )
        self._consumer = Consumer({**config, "log_level": 0})

    def looks(self, places: Collection[Place]) -> dict[Place, Look]:
        """Committed offset and [low, end) of each place. A place whose leader is being chosen is left out.

        The embedded broker tells the first offset of the last batch plus one as its end: there what waits within that
        batch goes unseen.
        """
        if not places:
            return {}
        wanted = [TopicPartition(place.topic, place.partition) for place in places]
        lows, ends = self._ends(wanted, _EARLIEST), self._ends(wanted, _LATEST)
        looks = {}
        for one in committed_offsets(self._consumer, wanted, self._timeout_s):
            place = Place(one.topic, one.partition)
            if place in lows and place in ends:
                committed = one.offset if one.offset >= 0 else NOTHING_COMMITTED
                looks[place] = Look(committed, one.metadata, lows[place], ends[place])
        return looks

    def holds_record(self, offsets: Mapping[Place, int]) -> dict[Place, bool]:
        """Whether a committed record stands at or behind each offset; a place that does not answer is left out."""
        found: dict[Place, bool] = {}
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in offsets.items()])
        deadline = time.monotonic() + _FETCH_S
        try:
            while len(found) < len(offsets) and time.monotonic() < deadline:
                message = self._consumer.poll(0.2)
                if message is None:
                    continue
                topic, partition, error = message.topic(), message.partition(), message.error()
                if topic is None or partition is None:
                    continue
                if error is None or error.code() == KafkaError._PARTITION_EOF:
                    found.setdefault(Place(topic, partition), error is None)
        finally:
            self._consumer.unassign()
        return found

    def close(self) -> None:
        self._consumer.close()

    def _ends(self, wanted: list[TopicPartition], which: OffsetSpec) -> dict[Place, int]:
        futures = self._admin.list_offsets(
            dict.fromkeys(wanted, which),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=self._timeout_s,
        )
        ends = {}
        for place, future in futures.items():
            try:
                ends[Place(place.topic, place.partition)] = future.result().offset
            except KafkaException as error:
                if not is_transient(error.args[0]):
                    raise
        return ends

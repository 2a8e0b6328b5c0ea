"""In: the topics that enrich reads and writes by partition. Out: PartitionMismatch, with the migration, where Kafka has
other counts than the settings.

A topic that grew while workers ran is handed out by the group before anybody looked: the homes of event ids and of the
windows that remember them have moved then, so a worker asks whenever it is given partitions.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime.admin import PartitionMismatch, list_partitions, refuse_mismatch
from runtime.connection import KafkaConnection
from schemas.topics import Topics

_ANSWER_S: Final = 5.0
#: A broker that is just starting may tell of fewer partitions than there are, so a mismatch is looked at twice.
_AGAIN_S: Final = 1.0


def refuse_other_counts(connection: KafkaConnection, topics: Topics, given: Collection[int]) -> None:
    """Raise PartitionMismatch. `given`: the partitions of `usage.events` that the group hands out; where Kafka does not
    answer, they alone are judged.
    """
    admin = AdminClient(connection.librdkafka(log_level=0))
    names = {topics.events, topics.fingerprints, topics.enriched, topics.tallies}
    for last in (False, True):
        try:
            found = {name: count for name, count in list_partitions(admin, _ANSWER_S).items() if name in names}
        except KafkaException:
            found = {}
        found[topics.events] = max(found.get(topics.events, topics.event_partitions), *(one + 1 for one in given), 0)
        try:
            refuse_mismatch(topics, found)
            return
        except PartitionMismatch:
            if last:
                raise
            time.sleep(_AGAIN_S)

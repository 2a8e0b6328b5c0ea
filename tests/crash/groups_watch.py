"""In: a consumer group. Out: who belongs to it, as the broker says: whether a stalled member is out and replaced."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from runtime.connection import KafkaConnection
from schemas.topics import Topics
from tests.crash.points import Role

#: An answer is good for so long.
_FRESH_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Membership:
    """`settled`: every member has been told its partitions. `partitions`: how many are given out."""

    settled: bool
    members: int
    partitions: int


def groups_of(role: Role, topics: Topics) -> dict[str, int]:
    """Group -> how many partitions it hands out; the sink has two groups."""
    prefix = f"{topics.prefix}streamgauge."
    if role == "enrich":
        return {f"{prefix}enrich": topics.event_partitions}
    if role == "agents":
        return {f"{prefix}agents": topics.tally_partitions}
    return {f"{prefix}sink": topics.event_partitions, f"{prefix}sink.records": topics.event_partitions}


class GroupWatch:
    """Asks the broker. A broker that is away gives no answer: None."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._admin = self._client()
        self._known: dict[str, tuple[float, Membership | None]] = {}

    def membership(self, group: str) -> Membership | None:
        at, known = self._known.get(group, (float("-inf"), None))
        if time.monotonic() - at > _FRESH_S:
            known = self._asked(group)
            self._known[group] = time.monotonic(), known
        return known

    def _client(self) -> AdminClient:
        return AdminClient(self._connection.librdkafka() | {"log_level": 2})

    def _asked(self, group: str) -> Membership | None:
        try:
            found = self._admin.describe_consumer_groups([group], request_timeout=2.0)[group].result(3.0)
        except (KafkaException, TimeoutError):
            # A client that has seen its broker die may look for the coordinator for minutes: a new one does not.
            self._admin = self._client()
            return None
        given = sum(len(member.assignment.topic_partitions) for member in found.members if member.assignment)
        return Membership(found.state == ConsumerGroupState.STABLE, len(found.members), given)

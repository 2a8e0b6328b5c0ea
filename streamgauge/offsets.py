"""In: the roles' groups and topics. Out: how far each has come; and one offset set by hand, checked first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import list_partitions
from runtime.connection import KafkaConnection
from runtime.group_admin import set_offsets
from runtime.group_offsets import GroupOffsets
from runtime.recovery import Reader, Target, set_offset
from runtime.standstill import Look, Place
from schemas.topics import Topics
from streamgauge.cli.role import groups_of

ROLES: tuple[Reader, ...] = ("enrich", "agents", "sink", "forward")
#: Not every house has them: only what they once committed is shown.
OPTIONAL: tuple[Reader, ...] = ("forward",)
State = Literal["ok", "nothing committed", "before the beginning", "behind the end"]


class OffsetRefused(ValueError):
    """The offset that was asked for cannot be set; the message says why."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one group has come on one partition."""

    role: Reader
    group: str
    place: Place
    look: Look

    @property
    def state(self) -> State:
        if self.look.committed < 0:
            return "nothing committed"
        if self.look.committed < self.look.low:
            return "before the beginning"
        return "behind the end" if self.look.committed > self.look.end else "ok"

    @property
    def advice(self) -> str | None:
        """What puts it right, where it is wrong."""
        if self.state in ("ok", "nothing committed"):
            return None
        if self.role == "enrich" and self.state == "behind the end":
            return "`streamgauge enrich` says at its start where to go on: its fingerprints tell how far it had come"
        command = set_offset(self.role, self.place.topic, self.place.partition, "earliest")
        return f"to go on from the oldest that is left: {command}"


def standings(connection: KafkaConnection, topics: Topics, roles: tuple[Reader, ...] = ROLES) -> Iterator[Standing]:
    """Every partition that the roles read as members of a group. KafkaException when Kafka does not answer."""
    counts = list_partitions(AdminClient(connection.librdkafka()))
    for role in roles:
        groups = groups_of(role, topics)
        for group in dict.fromkeys(groups.values()):
            places = [
                Place(topic, partition)
                for topic, reader in groups.items()
                if reader == group
                for partition in range(counts.get(topic, 0))
            ]
            reader = GroupOffsets(connection, group)
            try:
                looks = _exact(reader, reader.looks(places))
            finally:
                reader.close()
            for place in places:
                if place in looks and (len(roles) == 1 or role not in OPTIONAL or looks[place].committed >= 0):
                    yield Standing(role, group, place, looks[place])


def _exact(reader: GroupOffsets, looks: dict[Place, Look]) -> dict[Place, Look]:
    """The embedded broker tells ends that lie within the last batch: where an offset seems to be behind the end, a
    fetch shows whether it is.
    """
    beyond = {place: look.committed for place, look in looks.items() if look.committed > look.end}
    answered = reader.holds_record(beyond) if beyond else {}
    return looks | {place: replace(looks[place], end=looks[place].committed) for place in answered}


def move(connection: KafkaConnection, topics: Topics, role: Reader, place: Place, to: Target) -> tuple[Standing, int]:
    """Set one offset; gives how it stood, and what it is now. Raises OffsetRefused, GroupInUse, KafkaException."""
    if place.topic not in groups_of(role, topics):
        raise OffsetRefused(
            f"{role} reads {', '.join(sorted(groups_of(role, topics)))} by its groups, but not {place.topic}"
        )
    before = next((one for one in standings(connection, topics, (role,)) if one.place == place), None)
    if before is None:
        raise OffsetRefused(f"{place.topic} has no partition {place.partition}")
    look = before.look
    offset = {"earliest": look.low, "latest": look.end}[to] if isinstance(to, str) else to
    if not look.low <= offset <= look.end:
        raise OffsetRefused(
            f"{place.topic}[{place.partition}] reaches from {look.low} to {look.end}, so {offset} is outside of it"
        )
    set_offsets(connection, before.group, [TopicPartition(place.topic, place.partition, offset)])
    return before, offset

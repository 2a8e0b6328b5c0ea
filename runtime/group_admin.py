"""In: a consumer group. Out: who is in it, and its offsets set by hand while nobody is."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from runtime.connection import KafkaConnection


class GroupInUse(RuntimeError):
    """The group has members, which would go on by what they remember; the message names them."""


def members_of(connection: KafkaConnection, group: str, timeout_s: float = 10.0) -> list[str]:
    """`CLIENT at HOST` of each member, where the broker tells; none for a group that is not there. KafkaException."""
    admin = AdminClient(connection.librdkafka())
    try:
        found = admin.describe_consumer_groups([group], request_timeout=timeout_s)[group].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise
    if found.state == ConsumerGroupState.DEAD:
        return []
    if found.state == ConsumerGroupState.STABLE and not found.members:
        # The embedded broker knows that there are some, and not who.
        return ["a worker that the broker does not name"]
    return sorted(f"{member.client_id} at {str(member.host).lstrip('/')}" for member in found.members)


def require_empty(connection: KafkaConnection, group: str, why: str) -> None:
    """Raises GroupInUse. `why`: what is about to be done, as in `before its offsets are set`."""
    members = members_of(connection, group)
    if members:
        raise GroupInUse(
            f"the group {group} has {len(members)} member{'s' if len(members) > 1 else ''} ({', '.join(members)}): "
            f"stop them {why} (a process that was killed is still counted until its session ends)"
        )


def set_offsets(connection: KafkaConnection, group: str, places: Sequence[TopicPartition]) -> None:
    """Set them while the group is empty. Raises GroupInUse, KafkaException."""
    if not places:
        return
    require_empty(connection, group, "before its offsets are set")
    admin = AdminClient(connection.librdkafka())
    done = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, list(places))])
    for place in done[group].result().topic_partitions:
        if place.error is not None:
            raise KafkaException(place.error)

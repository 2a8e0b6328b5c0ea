"""In: a role and a partition whose offset is no longer good. Out: the command that sets it, as every refusal prints it,
and where a group member may begin to read.

Nothing here, and no consumer of ours, resets an offset by itself: what lies between the two offsets would be lost
without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from runtime.watermarks import committed_offsets, log_bounds

Reader = Literal["enrich", "agents", "sink", "forward"]
#: `earliest`, `latest`, or an offset.
Target = int | Literal["earliest", "latest"]


class OffsetsLost(RuntimeError):
    """A committed offset lies outside its partition; the message has the command to go on with."""


def set_offset(role: Reader, topic: str, partition: int, to: Target) -> str:
    """The command that sets one offset of a role's group. `topic` with its prefix."""
    return f"streamgauge offsets set {role} {topic}:{partition} --to {to}"


def offsets_lost(role: Reader, topic: str, partition: int, why: str) -> OffsetsLost:
    """What to say when the offset to go on at is outside the log; `why` has the figures."""
    return OffsetsLost(
        f"{topic}[{partition}]: {why}. Records expired unread, or the topic was made again. Nothing was skipped. To go "
        f"on from the oldest that is left, run: {set_offset(role, topic, partition, 'earliest')}"
    )


def places_to_start(
    consumer: Consumer, partitions: Sequence[TopicPartition], role: Reader, timeout_s: float = 60.0
) -> list[TopicPartition]:
    """Where a group member that never resets its offsets begins: at what was committed, or at the beginning of a
    partition for which nothing ever was. An offset behind the end is told by the consumer itself at its first fetch.

    Raises OffsetsLost when what comes after the committed offset is gone already; KafkaException.
    """
    places = []
    for committed in committed_offsets(consumer, partitions, timeout_s):
        low, _ = log_bounds(consumer, committed.topic, committed.partition)
        offset = low if committed.offset == OFFSET_INVALID else committed.offset
        if offset < low:
            raise offsets_lost(
                role, committed.topic, committed.partition, f"it begins at {low}, the group goes on at {offset}"
            )
        places.append(TopicPartition(committed.topic, committed.partition, offset))
    return places

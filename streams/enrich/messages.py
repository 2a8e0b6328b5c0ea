"""In: Kafka messages. Out: the SourceBatch that they make. Each accessor of the client is called once a message: at one
event per message these calls are among the dearest things that enrich does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from schemas.positions import SourceRange
from streams.enrich.batch import SourceBatch

#: Values whose lengths are looked at to tell how large a batch is.
_SAMPLE = 100


def to_batch(
    messages: list[Message], positions: Mapping[int, int], end: int | None = None, control: int | None = None
) -> SourceBatch:
    """Order messages by partition; the range of each begins at its position and ends behind its last message (or at
    `end`): offsets without an event (transaction markers) belong to a range too.
    """
    partition = np.fromiter(map(Message.partition, messages), np.int32, len(messages))
    offset = np.fromiter(map(Message.offset, messages), np.int64, len(messages))
    values = list(map(Message.value, messages))
    times = np.fromiter(map(append_us, messages), np.int64, len(messages))
    keys = list(map(Message.key, messages))
    unkeyed = np.array([key is None for key in keys], bool) if None in keys else np.zeros(len(messages), bool)
    if len(messages) > 1 and (partition[1:] < partition[:-1]).any():
        order = np.argsort(partition, kind="stable")
        partition, offset, times, unkeyed = partition[order], offset[order], times[order], unkeyed[order]
        values = [values[place] for place in order.tolist()]
    lasts = np.flatnonzero(np.append(partition[1:] != partition[:-1], True))
    ranges = tuple(
        SourceRange(number, positions[number], int(offset[last]) + 1 if end is None else end)
        for number, last in zip(partition[lasts].tolist(), lasts.tolist(), strict=True)
    )
    return SourceBatch(values, partition, offset, times, ranges, np.flatnonzero(unkeyed), control)


def append_us(message: Message) -> int:
    """Broker time of a message in µs; 0 where it has none (written before Kafka 0.10)."""
    kind, milliseconds = message.timestamp()
    return 0 if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds * 1_000


def bytes_of(messages: list[Message]) -> int:
    """About how many bytes the values have, from an even sample."""
    sample = messages[:: max(1, len(messages) // _SAMPLE)]
    return sum(len(message) for message in sample) * len(messages) // len(sample)

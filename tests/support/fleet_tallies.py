"""The demo's fleet in; what enrich would tell the agents of it, by tally partition, out. No broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from schemas.control.base import moment_us
from schemas.control.records import ControlRecord
from schemas.positions import SourceRange
from schemas.topics import Topics
from sources.fleet import Chunk
from streams.agents.tally_message import TallyMessage, read_tally
from streams.enrich.batch import PartitionState, SourceBatch
from streams.enrich.outputs import Output, heartbeats, outputs
from streams.enrich.pipeline import Pipeline
from tests.support.enrich import CONFIG, fresh_states, rules_of

_LATENESS_US: Final = CONFIG.lateness_s * 1_000_000


def fleet_tallies(
    batches: Iterable[Sequence[Chunk]], records: Iterable[ControlRecord], *, inputs: int = 2, tallies: int = 1
) -> list[list[TallyMessage]]:
    """What stands on each tally partition once enrich has taken the batches, some chunks of a fleet each.

    Broker time is the fleet's own. The last messages say that all inputs are read to their ends.
    """
    topics = Topics("", inputs, tallies)
    rules, states = rules_of(*records), fresh_states(*range(inputs))
    pipeline = Pipeline(CONFIG, topics.events, topics.tally_partitions, None)
    told: list[list[TallyMessage]] = [[] for _ in range(tallies)]

    def take(all_outputs: Iterable[Output]) -> None:
        for one in all_outputs:
            if one.topic == topics.tallies:
                log = told[one.partition]
                log.append(read_tally(len(log), one.headers, one.value))

    append_us = 0
    for chunks in batches:
        append_us = moment_us(chunks[-1].ends_at)
        batch = _batch(chunks, states, inputs, append_us)
        if not batch.ranges:
            continue
        result = pipeline.run(batch, rules, states)
        take(outputs(result, topics, _LATENESS_US, append_us))
        for done in result.partitions:
            state = states[done.range.partition]
            state.window.add(done.fingerprints)
            state.position, state.greatest_us, state.newest_append_us = done.range.next, done.greatest_us, append_us
    for partition, state in states.items():
        take(heartbeats(partition, state, rules.position, topics, _LATENESS_US, append_us))
    return told


def together(chunks: Iterable[Chunk], count: int) -> Iterator[list[Chunk]]:
    """`count` chunks to a batch."""
    listed = list(chunks)
    for place in range(0, len(listed), count):
        yield listed[place : place + count]


def _batch(chunks: Sequence[Chunk], states: Mapping[int, PartitionState], inputs: int, append_us: int) -> SourceBatch:
    messages: list[list[bytes | None]] = [[] for _ in range(inputs)]
    for chunk in chunks:
        for message in chunk.messages(inputs):
            messages[message.partition].append(message.value)
    counts = [len(one) for one in messages]
    firsts = [states[partition].position for partition in range(inputs)]
    return SourceBatch(
        [value for one in messages for value in one],
        np.repeat(np.arange(inputs, dtype=np.int32), counts),
        np.concatenate([first + np.arange(count) for first, count in zip(firsts, counts, strict=True)]).astype(
            np.int64
        ),
        np.full(sum(counts), append_us, np.int64),
        tuple(
            SourceRange(at, first, first + count)
            for at, (first, count) in enumerate(zip(firsts, counts, strict=True))
            if count
        ),
    )

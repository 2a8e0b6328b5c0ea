"""In: the result of a batch. Out: the Kafka messages that carry it, each headed with its source range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schemas.arrow_ipc import to_parts
from schemas.positions import Headers, Mark, SourceRange, version_header
from schemas.topics import Topics
from streams.enrich.batch import BatchResult, PartitionResult, PartitionState
from streams.enrich.fingerprint_log import fingerprint_values


@dataclass(frozen=True, slots=True)
class Output:
    """One message to produce."""

    topic: str
    partition: int
    value: bytes
    headers: Headers
    key: bytes | None = None


def outputs(result: BatchResult, topics: Topics, lateness_us: int, sent_us: int) -> Iterator[Output]:
    """All messages of a batch, fingerprints first: they are what a successor looks for.

    `sent_us`: the worker's clock, all that may differ in a repeat.
    """
    for mine in result.partitions:
        mark = _mark(mine, result.control, lateness_us, sent_us)
        prints = fingerprint_values(mine.fingerprints)
        for number, value in enumerate(prints):
            source_range = replace(mine.range, part=number, parts=len(prints))
            headers: Headers = [version_header(), source_range.header(), mark.header()]
            yield Output(topics.fingerprints, mine.range.partition, value, headers)
        yield from _tallies(mine, mark, result, topics)
        yield from _block(mine, topics)
        for rejection in mine.rejections:
            position = f"{rejection.partition}:{rejection.offset}:{rejection.index}"
            yield Output(
                topics.rejected, 0, rejection.model_dump_json().encode(), [version_header()], position.encode()
            )


def heartbeats(
    partition: int, state: PartitionState, control: int, topics: Topics, lateness_us: int, sent_us: int
) -> Iterator[Output]:
    """To every tally partition: input partition `partition` is read to its end."""
    source_range = SourceRange(partition, state.position, state.position)
    watermark = _watermark(state.greatest_us, lateness_us)
    mark = Mark("idle", watermark, state.greatest_us, state.newest_append_us, control, sent_us)
    for home in range(topics.tally_partitions):
        yield Output(topics.tallies, home, b"", [version_header(), source_range.header(), mark.header()])


def _tallies(mine: PartitionResult, mark: Mark, result: BatchResult, topics: Topics) -> Iterator[Output]:
    """One message to every tally partition, also without rows: it carries the chain and the watermark."""
    version, marked = version_header(), mark.header()
    for home in range(topics.tally_partitions):
        table = result.tallies.get((mine.range.partition, home))
        parts = [b""] if table is None else to_parts(table)
        for number, value in enumerate(parts):
            source_range = replace(mine.range, part=number, parts=len(parts))
            yield Output(topics.tallies, home, value, [version, source_range.header(), marked])


def _block(mine: PartitionResult, topics: Topics) -> Iterator[Output]:
    parts = to_parts(mine.block)
    for number, value in enumerate(parts):
        headers: Headers = [version_header(), replace(mine.range, part=number, parts=len(parts)).header()]
        if number == 0:
            headers.append(mine.ledger.header())
        yield Output(topics.enriched, mine.range.partition, value, headers)


def _mark(mine: PartitionResult, control: int, lateness_us: int, sent_us: int) -> Mark:
    watermark = _watermark(mine.greatest_us, lateness_us)
    return Mark("range", watermark, mine.greatest_us, mine.ledger.append_us, control, sent_us)


def _watermark(greatest_us: int | None, lateness_us: int) -> int | None:
    return None if greatest_us is None else greatest_us - lateness_us

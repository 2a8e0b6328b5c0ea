"""In: a trace file. Out: its calls as usage events on `usage.events`, acknowledged, and a summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from runtime.clock import Clock, SystemClock, to_datetime
from runtime.connection import KafkaConnection
from schemas.topics import Topics
from sources.bulk import BulkProducer
from sources.replay.azure_llm import read_azure_llm
from sources.replay.chunk import TraceReader, measure
from sources.replay.config import ReplayConfig, ReplaySummary
from sources.replay.events_jsonl import read_events_jsonl
from sources.replay.mooncake import mooncake_reader
from sources.replay.pace import Pace, Sleeper
from sources.replay.rules import Rules

#: (events sent, events in the file); the last call has both equal.
Progress = Callable[[int, int], None]

_NOTE: Final = (
    "The trace does not know who made the calls: teams were assigned by a seeded rule (seed {seed}, model {model}). "
    "Replaying it again by the same rules is counted once."
)
_OWN_NOTE: Final = "Lines were sent as they are, bad ones too; look for refused ones in the rejected events."


class _Tally:
    """Sums for the summary."""

    def __init__(self) -> None:
        self.events = self.unreadable = self.input = self.cache_read = self.output = 0
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.teams: Counter[str] = Counter()

    def time(self, least_us: int, greatest_us: int) -> None:
        self.first_us = least_us if self.first_us is None else min(self.first_us, least_us)
        self.last_us = greatest_us if self.last_us is None else max(self.last_us, greatest_us)


def replay(
    config: ReplayConfig,
    connection: KafkaConnection,
    topics: Topics,
    progress: Progress | None = None,
    clock: Clock | None = None,
    sleeper: Sleeper = time.sleep,
) -> ReplaySummary:
    """Send the whole file; returns when Kafka has acknowledged it.

    Raises OSError for a file that cannot be read, TraceError for a bad line of a foreign trace (what lies before it was
    sent; ids stay the same in the next attempt), KafkaUnreachable, TopicMissing, DeliveryError.
    """
    clock = clock or SystemClock()
    began = clock.monotonic()
    trace = measure(config.path)
    tally = _Tally()
    pace = Pace(config.speed, clock, sleeper)
    with BulkProducer(connection, topics.events, batch=config.batch) as producer:
        if config.format == "events-jsonl":
            source, note = "the events' own", _OWN_NOTE
            steps = _send_lines(config, producer, pace, tally)
        else:
            rules = Rules(config, trace.digest)
            source, note = rules.source, _NOTE.format(seed=config.seed, model=rules.model)
            reader = read_azure_llm if config.format == "azure-llm" else mooncake_reader(config.start)
            steps = _send_calls(config, reader, rules, producer, pace, tally)
        total = max(0, trace.lines - (config.format == "azure-llm"))
        for _ in steps:
            if progress is not None:
                progress(tally.events, total)
        producer.flush()
    if progress is not None:
        progress(tally.events, tally.events)
    return ReplaySummary(
        path=config.path,
        format=config.format,
        source=source,
        events=tally.events,
        delivered=producer.delivered,
        messages=producer.messages,
        unreadable=tally.unreadable,
        input_tokens=tally.input,
        cache_read_tokens=tally.cache_read,
        output_tokens=tally.output,
        first_event=None if tally.first_us is None else to_datetime(tally.first_us),
        last_event=None if tally.last_us is None else to_datetime(tally.last_us),
        wall_s=clock.monotonic() - began,
        events_by_team=tuple(sorted(tally.teams.items(), key=lambda item: (-item[1], item[0]))),
        note=note,
    )


def _send_calls(
    config: ReplayConfig, reader: TraceReader, rules: Rules, producer: BulkProducer, pace: Pace, tally: _Tally
) -> Iterator[None]:
    for calls in reader(config.path):
        table = rules.table(calls)
        for part in pace.slices(calls.occurred_at_us):
            piece = table.slice(part.start, part.stop - part.start)
            tally.events += producer.send(piece)
            tally.teams.update(piece.column("team_id").to_pylist())
            tally.input += int(calls.input_tokens[part].sum())
            tally.output += int(calls.output_tokens[part].sum())
            if calls.cache_read_tokens is not None:
                tally.cache_read += int(calls.cache_read_tokens[part].sum())
            times = calls.occurred_at_us[part]
            tally.time(int(times.min()), int(times.max()))
            yield


def _send_lines(config: ReplayConfig, producer: BulkProducer, pace: Pace, tally: _Tally) -> Iterator[None]:
    last_us: int | None = None
    for lines in read_events_jsonl(config.path):
        known = [line.occurred_at_us for line in lines]
        # A line without a readable time leaves with the line before it.
        times: list[int] = []
        for moment in known:
            last_us = moment if moment is not None else last_us
            times.append(last_us if last_us is not None else next((one for one in known if one is not None), 0))
        for part in pace.slices(np.asarray(times, np.int64)):
            sent = lines[part]
            tally.events += producer.send_messages(line.message(producer.partitions) for line in sent)
            for line in sent:
                tally.unreadable += not line.readable
                if not line.readable:
                    continue
                tally.input += line.input_tokens
                tally.cache_read += line.cache_read_tokens
                tally.output += line.output_tokens
                if line.team_id is not None:
                    tally.teams[line.team_id] += 1
                assert line.occurred_at_us is not None
                tally.time(line.occurred_at_us, line.occurred_at_us)
            yield

"""In: settlements. Out: the same contract as Kafka's, in memory: for tests, which kill a shard by dropping it.

`MemoryTopics` is what outlives a kill; `MemoryStateStore` is one process's hold on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from schemas.alerts import Alert
from streams.agents.adjustments import Corrections, home_rows
from streams.agents.shard import Settlement
from streams.agents.store import Fenced, TalliesLost
from streams.agents.tally_message import TallyMessage


@dataclass
class MemoryTopics:
    """What one shard's topics hold. `epoch` counts owners."""

    state: dict[str, bytes] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    statuses: dict[str, bytes] = field(default_factory=dict)
    personal: dict[str, bytes] = field(default_factory=dict)
    partition: int = 0
    tallies: list[TallyMessage] = field(default_factory=list)
    low: int = 0
    traces: str | None = None
    epoch: int = 0


class MemoryStateStore:
    """`before_commit` runs inside the transaction: a test makes it raise to play a crash."""

    def __init__(self, topics: MemoryTopics, before_commit: Callable[[], None] = lambda: None) -> None:
        self._topics = topics
        self._before_commit = before_commit
        self._epoch = 0

    def open(self) -> Mapping[str, bytes]:
        self._topics.epoch += 1
        self._epoch = self._topics.epoch
        return dict(self._topics.state)

    def commit(self, settlement: Settlement) -> None:
        if self._epoch != self._topics.epoch:
            raise Fenced(f"this store's epoch is {self._epoch}, the shard's is {self._topics.epoch}")
        self._before_commit()
        for held, records in (
            (self._topics.state, settlement.records),
            (self._topics.statuses, settlement.statuses),
            (self._topics.personal, settlement.personal),
        ):
            for key, value in records:
                if value is None:
                    held.pop(key, None)
                else:
                    held[key] = value
        self._topics.alerts.extend(settlement.alerts)

    def close(self) -> None:
        self._epoch = 0


class MemoryTallyLog:
    """The tally partition of `MemoryTopics`."""

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    def read(self, partition: int, first: int, until: int) -> Iterator[TallyMessage]:
        assert partition == self._topics.partition
        if first < self._topics.low:
            raise TalliesLost(f"offset {first} of tally partition {partition} does not stand: `streamgauge rebuild`")
        for message in self._topics.tallies:
            if first <= message.offset < until:
                yield message

    def beginning(self, partition: int) -> int:
        assert partition == self._topics.partition
        return self._topics.low

    def traces(self, partition: int) -> str | None:
        assert partition == self._topics.partition
        return self._topics.traces


class MemoryAdjustmentLog:
    """Adjustments as tables of TALLIES rows, one offset each."""

    def __init__(self, tables: list[pa.Table], partitions: int = 1) -> None:
        self._tables, self._partitions = tables, partitions

    @property
    def end(self) -> int:
        return len(self._tables)

    def read(self, first: int, partition: int) -> Corrections:
        return Corrections(home_rows(self._tables[first:], partition, self._partitions), len(self._tables))

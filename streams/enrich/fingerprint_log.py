"""In: the fingerprint log of one input partition. Out: its dedupe window and watermark, as they were at a committed
offset.

One record a batch, or several parts of one: the packed hashes of the events that it accepted, headed with its range and
mark. A repeat of a batch writes equal records again, so records are taken once per range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from runtime.connection import KafkaConnection
from runtime.watermarks import log_bounds
from schemas.arrow_ipc import MAX_VALUE_BYTES
from schemas.positions import Mark, PositionError, SourceRange, read_mark, read_range, read_version
from streams.enrich.dedupe import Fingerprints, Window
from streams.enrich.partition_log import ANSWER_S, read_on
from streams.enrich.patience import Patience

#: Records are stamped by the worker's clock, events by the broker's; and a worker may have lagged this far behind.
_SLACK_US: Final = 3_600_000_000
#: Ids that are taken into a window at once: each taking in sorts and merges.
_AT_ONCE: Final = 500_000
#: Ids in one record.
_MOST_IDS: Final = MAX_VALUE_BYTES // 16


class FingerprintsMissing(RuntimeError):
    """The log does not reach the committed offset, so resends could be counted twice: a person has to decide."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The window and marks at the committed offset.

    `begun` is the range of a batch that starts there, if one was seen, and `begun_control` the position of the control
    log that it was enriched by.
    """

    window: Window
    greatest_us: int | None = None
    newest_append_us: int | None = None
    begun: SourceRange | None = None
    begun_control: int | None = None


@dataclass(slots=True)
class _Fold:
    """The log read from one place on; `newest` is the range of the newest record taken, and `mark` what it says."""

    window: Window
    newest: SourceRange | None = None
    mark: Mark | None = None
    parts: list[Fingerprints] = field(default_factory=list)
    begun: SourceRange | None = None
    begun_control: int | None = None
    waiting: list[Fingerprints] = field(default_factory=list)
    waiting_ids: int = 0

    @property
    def at(self) -> int:
        """Where the newest record taken ends; -1: none was."""
        return -1 if self.newest is None else self.newest.next

    def take(self, source_range: SourceRange, rows: Fingerprints) -> bool:
        """Take one part in. True: its range is complete. A copy that starts again from part 0 replaces unfinished parts
        before it.
        """
        if source_range.part == 0:
            self.parts = []
        if source_range.part != len(self.parts):
            return False
        self.parts.append(rows)
        if len(self.parts) < source_range.parts:
            return False
        for one in self.parts:
            self.add(one)
        self.newest, self.parts = source_range, []
        return True

    def add(self, rows: Fingerprints) -> None:
        self.waiting.append(rows)
        self.waiting_ids += len(rows)
        if self.waiting_ids >= _AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Take what waits into the window."""
        if self.waiting:
            ids, notes = ([getattr(one, name) for one in self.waiting] for name in ("ids", "notes"))
            self.window.add(Fingerprints(np.concatenate(ids), np.concatenate(notes)))
            self.waiting, self.waiting_ids = [], 0


def fingerprint_value(rows: Fingerprints) -> bytes:
    """n ids, then n notes, each eight little-endian bytes."""
    return rows.ids.astype("<u8").tobytes() + rows.notes.astype("<u8").tobytes()


def fingerprint_values(rows: Fingerprints) -> list[bytes]:
    """The values of as many records as brokers accept; at least one."""
    return [
        fingerprint_value(rows.take(slice(first, first + _MOST_IDS))) for first in range(0, len(rows) or 1, _MOST_IDS)
    ]


def read_fingerprints(value: bytes | None, where: str = "a fingerprint record") -> Fingerprints:
    """The hashes of one record. Raises PositionError, with `where` it stands, for what enrich does not write."""
    if len(value or b"") % 16:
        raise PositionError(
            f"{where}: a value of {len(value or b'')} bytes is no list of fingerprints of sixteen bytes each: it was "
            "not written by enrich"
        )
    words = np.frombuffer(value or b"", "<u8").astype(np.uint64, copy=False)
    return Fingerprints(words[: len(words) // 2], words[len(words) // 2 :])


class FingerprintLog:
    """Reads `usage.fingerprints`, one partition at a time."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        horizon_us: int,
        max_ids: int,
        patience: Patience | None = None,
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._group = group
        self.horizon_us = horizon_us
        self._max_ids = max_ids
        self._patience = patience

    def restore(self, partition: int, committed: int, now_us: int) -> Restored:
        """Fold the log up to the record whose `next` is `committed`; later ones belong to a batch that will be
        repeated.

        The horizon counts back from the newest event enriched, not from now: after an outage, resends of what came
        just before it follow. Raises FingerprintsMissing when no record ends at `committed`.
        """
        since_us = now_us - self.horizon_us - _SLACK_US
        fold = self._fold(partition, committed, since_us)
        newest_us = fold.mark.append_us if fold.mark is not None else None
        if fold.at != committed:
            fold = self._fold(partition, committed, None)
        elif newest_us is not None and newest_us < now_us - _SLACK_US // 2:
            fold = self._fold(partition, committed, newest_us - self.horizon_us - _SLACK_US)
        if fold.at != committed:
            raise FingerprintsMissing(
                f"{self._topic}[{partition}] holds no record that ends at the committed offset {committed} "
                f"(its newest ends at {fold.at}): events sent twice could be counted twice"
            )
        mark = fold.mark
        return Restored(
            fold.window,
            mark.max_event_us if mark else None,
            mark.append_us if mark else None,
            fold.begun,
            fold.begun_control,
        )

    def nothing(self) -> Restored:
        """What holds where nothing within the horizon can have been enriched before."""
        return Restored(Window(self.horizon_us, self._max_ids))

    def newest(self, partition: int) -> tuple[SourceRange, Mark] | None:
        """The newest range in the log, and what was said of it; None for an empty log."""
        fold = self._fold(partition, 2**63 - 1, None)
        return None if fold.newest is None or fold.mark is None else (fold.newest, fold.mark)

    def _fold(self, partition: int, committed: int, since_us: int | None) -> _Fold:
        """Take the records from broker time `since_us` on (None: all that is kept) that end by `committed`."""
        fold = _Fold(Window(self.horizon_us, self._max_ids))
        start = self._offset_at(partition, since_us)
        if start is None:
            return fold
        newest = None
        for message in read_on(self._connection, self._group, self._topic, partition, start, self._patience):
            headers = message.headers()
            read_version(headers)
            source_range = read_range(headers)
            if source_range.first == committed:
                fold.begun, fold.begun_control = source_range, read_mark(headers).control
            if source_range.next > committed or source_range.next <= fold.at:
                continue
            where = f"{self._topic}[{partition}] offset {message.offset()}"
            if fold.take(source_range, read_fingerprints(message.value(), where)):
                newest = headers
        fold.settle()
        fold.mark = None if newest is None else read_mark(newest)
        return fold

    def _offset_at(self, partition: int, since_us: int | None) -> int | None:
        """The offset of the first record written since; None when there is none."""
        consumer = Consumer(self._connection.consumer(self._group))
        try:
            low, high = log_bounds(consumer, self._topic, partition, ANSWER_S)
            if low >= high:
                return None
            if since_us is None:
                return low
            [found] = consumer.offsets_for_times(
                [TopicPartition(self._topic, partition, max(0, since_us // 1000))], timeout=ANSWER_S
            )
            if found.error is None and found.offset >= 0:
                return max(low, int(found.offset))
            return None if found.offset == OFFSET_END else low
        finally:
            consumer.close()

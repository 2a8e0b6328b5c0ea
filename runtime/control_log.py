"""In: the compacted topic `governance.control`. Out: the newest ControlSnapshot, read to its end before the first
event.

Groupless: every process reads all of it. A record that this version cannot read is logged and skipped: the rest of the
documents stays in force.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import ValidationError

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient
from schemas.control.parts import Parts
from schemas.control.records import ControlRecord, parse_record
from schemas.control.snapshot import ControlSnapshot

_log = structlog.get_logger("control")

_AGAIN_S: Final = 5.0
_BUDGETS: Final = "budget/"
#: Header of the last record that one transaction publishes.
LAST_OF_TRANSACTION: Final = "sg-last"


class ControlLogReplaced(RuntimeError):
    """The control topic is not the one that was read before."""


class ControlLog:
    """Follows the control topic. Not thread-safe but for `snapshot`, which is swapped whole."""

    def __init__(self, connection: KafkaConnection, topic: str, until: int | None = None) -> None:
        """`until`: records from this offset on are passed over."""
        self._connection = connection
        self._topic = topic
        self._until = until
        self._consumer = Consumer(
            connection.consumer(
                f"{connection.client_id}.control.unused", isolation_level="read_committed", enable_partition_eof=True
            )
        )
        self.snapshot = ControlSnapshot()
        self._parts = Parts()
        #: Read, and not in force yet: the rest of its transaction may still be on its way.
        self._held: dict[str, tuple[int, ControlRecord | None]] = {}
        #: Budgets whose last record removed them, and the offsets at which such budgets came again.
        self._removed: set[str] = set()
        self._reborn: dict[str, int] = {}
        self._assign()

    def read_to_end(self, timeout_s: float = 60.0) -> ControlSnapshot:
        """Read until the broker says that this is the end. TimeoutError when that takes too long.

        The end is the partition's own end-of-file event: the embedded broker's watermarks cannot be trusted.
        """
        self._assign()
        waited = 0.0
        while not self._drain(wait_s=0.2):
            waited += 0.2
            if waited > timeout_s:
                raise TimeoutError(
                    f"{self._topic} was read to offset {self.snapshot.position}, and its end was not reached in "
                    f"{timeout_s:.0f} s: is Kafka reachable, and does the topic exist?"
                )
        return self.snapshot

    def poll(self, wait_s: float = 0.0) -> ControlSnapshot:
        """Take what has arrived since and return the newest snapshot."""
        self._drain(wait_s)
        return self.snapshot

    def at(self, position: int) -> ControlSnapshot:
        """The snapshot as it was at an earlier position, read anew. What was replaced since must not be compacted away
        yet: the topic's `min.compaction.lag.ms` says how long that holds.
        """
        if position == self.snapshot.position:
            return self.snapshot
        log = ControlLog(self._connection, self._topic, until=position)
        try:
            return replace(log.read_to_end(), position=position)
        finally:
            log.close()

    def close(self) -> None:
        self._consumer.close()

    def _assign(self) -> None:
        """Read on from here. The end is told once for each assignment, so whoever waits for it assigns first."""
        self._held.clear()
        self._read_to = self.snapshot.position
        start = self.snapshot.position or OFFSET_BEGINNING
        self._consumer.assign([TopicPartition(self._topic, 0, start)])

    def _drain(self, wait_s: float) -> bool:
        """Take in what is fetched, and apply it where a transaction ends: one may need several fetches. Whether the end
        was reached, which never lies within a transaction; but the next one may begin in the same fetch, and waits.
        """
        whole: dict[str, tuple[int, ControlRecord | None]] = {}
        position, at_end = self.snapshot.position, False
        failed: Exception | None = None
        for message in self._consumer.consume(10_000, wait_s):
            error = message.error()
            if error is None:
                offset = message.offset() or 0
                self._read_to = offset + 1
                key = message.key()
                if key is not None and (self._until is None or offset < self._until):
                    self._read(key, message.value(), offset, self._held)
                is_last = LAST_OF_TRANSACTION in dict(message.headers() or ())
            elif error.code() == KafkaError._PARTITION_EOF:
                self._read_to, at_end, is_last = max(self._read_to, message.offset() or 0), True, True
            else:
                # Whatever else was fetched is taken first: it does not come again.
                failed, is_last = failed or self._judged(error), False
            if is_last:
                whole |= self._held
                self._held.clear()
                position = self._read_to
        if whole or position > self.snapshot.position:
            reborn = {key: offset for key, offset in self._reborn.items() if offset < position}
            self.snapshot = self.snapshot.with_changes(whole, position, reborn)
            self._parts.trim(len(self.snapshot.records))
        if failed is not None:
            raise failed
        return at_end

    def _judged(self, error: KafkaError) -> Exception | None:
        """What to raise of an error; None for one that passes."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            return ControlLogReplaced(
                f"{self._topic} no longer reaches to offset {self.snapshot.position}, up to which it was read: it was "
                "made again. Publish the documents with `streamgauge apply`, and start this role again"
            )
        if is_transient(error):
            _log.warning("control_log.waiting", topic=self._topic, error=error.str())
            return None
        return KafkaException(error)

    def _read(
        self, key: bytes, value: bytes | None, offset: int, changes: dict[str, tuple[int, ControlRecord | None]]
    ) -> None:
        try:
            name = key.decode()
            changes[name] = (offset, None if value is None else self._parts.share(parse_record(value)))
            if not name.startswith(_BUDGETS):
                return
            if value is None:
                self._removed.add(name)
            elif name in self._removed:
                self._removed.discard(name)
                self._reborn[name] = offset
        except (ValidationError, UnicodeDecodeError) as unreadable:
            _log.error("control_log.unreadable", key=str(key), offset=offset, error=str(unreadable))


class ControlFollower:
    """A thread that keeps one ControlLog current and tells `changed` of every newer snapshot."""

    def __init__(self, log: ControlLog, changed: Callable[[ControlSnapshot], None]) -> None:
        self._log = log
        self._changed = changed
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="control-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop following and close the log."""
        self._halt.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        seen = self._log.snapshot.position
        while not self._halt.is_set():
            try:
                snapshot = self._log.poll(wait_s=0.3)
            except (KafkaException, ControlLogReplaced) as error:
                # What was read last stays in force. A topic that was made again ends the process: see `topic_guard`.
                _log.error("control_log.cannot_follow", error=str(error), again_in_s=_AGAIN_S)
                self._halt.wait(_AGAIN_S)
                continue
            if snapshot.position != seen:
                seen = snapshot.position
                self._changed(snapshot)
        self._log.close()

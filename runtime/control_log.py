"""In: the compacted topic `governance.control`. Out: the newest ControlSnapshot, read to its end before the first
event.

Groupless: every process reads all of it. A record that this version cannot read is logged, counted and skipped: the
rest of the documents stays in force.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import ValidationError

from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from schemas.control.records import ControlRecord, parse_record
from schemas.control.snapshot import ControlSnapshot

_log = structlog.get_logger("control")


class ControlLog:
    """Follows the control topic. Not thread-safe but for `snapshot`, which is swapped whole."""

    def __init__(self, connection: KafkaConnection, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            connection.consumer(
                f"{connection.client_id}.control.unused", isolation_level="read_committed", enable_partition_eof=True
            )
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        self.snapshot = ControlSnapshot()

    def read_to_end(self, timeout_s: float = 60.0) -> ControlSnapshot:
        """Read until the end that the topic had when the call began. TimeoutError when that takes too long."""
        _, high = log_bounds(self._consumer, self._topic, 0, timeout_s)
        waited = 0.0
        while self.snapshot.position < high:
            if not self._drain(wait_s=0.2, stop_at_end=True):
                waited += 0.2
                if waited > timeout_s:
                    raise TimeoutError(
                        f"{self._topic} was read to offset {self.snapshot.position} of {high} in {timeout_s:.0f} s"
                    )
        return self.snapshot

    def poll(self, wait_s: float = 0.0) -> ControlSnapshot:
        """Take what has arrived since and return the newest snapshot."""
        self._drain(wait_s, stop_at_end=False)
        return self.snapshot

    def close(self) -> None:
        self._consumer.close()

    def _drain(self, wait_s: float, *, stop_at_end: bool) -> bool:
        """Apply all that is fetched, as one change. Whether anything moved."""
        changes: dict[str, tuple[int, ControlRecord | None]] = {}
        position = self.snapshot.position
        at_end = False
        for message in self._consumer.consume(10_000, wait_s):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    position, at_end = max(position, message.offset() or 0), True
                    continue
                if is_transient(error):
                    _log.warning("control_log.waiting", topic=self._topic, error=error.str())
                    continue
                raise KafkaException(error)
            offset = message.offset()
            key = message.key()
            assert offset is not None
            position = offset + 1
            if key is None:
                continue
            value = message.value()
            try:
                changes[key.decode()] = (offset, None if value is None else parse_record(value))
            except (ValidationError, UnicodeDecodeError) as unreadable:
                _log.error("control_log.unreadable", key=str(key), offset=offset, error=str(unreadable))
        moved = position > self.snapshot.position
        if changes:
            self.snapshot = self.snapshot.with_changes(changes, position)
        elif moved:
            self.snapshot = self.snapshot.with_changes({}, position)
        return moved or (at_end and stop_at_end)


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
            snapshot = self._log.poll(wait_s=0.3)
            if snapshot.position != seen:
                seen = snapshot.position
                self._changed(snapshot)
        self._log.close()

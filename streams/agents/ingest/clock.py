"""In: marks of the input partitions, in log order. Out: the broker minute up to which everything sent is known.

Taken from the log alone, so that a replay sees the same silences. An idle partition is known up to when its heartbeat
was sent, one that is being read up to its newest event; a partition without news holds the clock.
"""

from __future__ import annotations

from schemas.positions import Mark

_MINUTE_US = 60_000_000


class IngestClock:
    """Never goes back. `minute` is None until every input partition was heard."""

    def __init__(self, partitions: int) -> None:
        self.known_us: dict[int, int] = {}
        self.minute: int | None = None
        self._partitions = partitions

    def observe(self, partition: int, mark: Mark) -> None:
        told = mark.sent_us if mark.kind == "idle" and mark.sent_us is not None else mark.append_us
        if told is None:
            return
        self.known_us[partition] = max(told, self.known_us.get(partition, told))
        self._tick()

    def restore(self, known_us: dict[int, int]) -> None:
        self.known_us = known_us
        self._tick()

    def _tick(self) -> None:
        if len(self.known_us) >= self._partitions:
            minute = min(self.known_us.values()) // _MINUTE_US
            self.minute = minute if self.minute is None else max(self.minute, minute)

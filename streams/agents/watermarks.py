"""In: marks of the input partitions, in log order. Out: the shard's event-time watermark, which never goes back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.positions import Mark


@dataclass(slots=True)
class InputMark:
    """The last known mark of one input partition; `idle`: read to its end and nothing newer since."""

    watermark_us: int | None = None
    max_event_us: int | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Where event time stood right after one message: what crossings and closings are dated by. All in µs."""

    watermark_us: int | None
    max_event_us: int | None
    append_us: int | None


class Watermarks:
    """Minimum over input partitions that are not idle; while all are idle, the maximum.

    A partition that was never heard holds the watermark back: its events may be anywhere. Enrich sends a heartbeat for
    each partition it owns, so silence means that enrich is not running there.
    """

    def __init__(self, partitions: int) -> None:
        self.inputs: dict[int, InputMark] = {partition: InputMark() for partition in range(partitions)}
        self.now = Moment(None, None, None)

    def observe(self, partition: int, mark: Mark) -> Moment:
        """Take one mark and return the moment that holds from here on."""
        own = self.inputs.setdefault(partition, InputMark())
        own.watermark_us = _later(own.watermark_us, mark.watermark_us)
        own.max_event_us = _later(own.max_event_us, mark.max_event_us)
        own.idle = mark.kind == "idle"
        self.now = Moment(
            _later(self.now.watermark_us, self._combined()),
            _later(self.now.max_event_us, mark.max_event_us),
            _later(self.now.append_us, mark.append_us),
        )
        return self.now

    def reach(self, watermark_us: int | None) -> None:
        """The watermark is known to have been here, by whoever wrote it down."""
        self.now = replace(self.now, watermark_us=_later(self.now.watermark_us, watermark_us))

    def _combined(self) -> int | None:
        running = [own.watermark_us for own in self.inputs.values() if not own.idle]
        if running:
            known = [us for us in running if us is not None]
            return min(known) if len(known) == len(running) else None
        known = [own.watermark_us for own in self.inputs.values() if own.watermark_us is not None]
        return max(known, default=None)


def _later(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)

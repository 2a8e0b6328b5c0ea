"""In: looks at a group's offsets, each at a moment. Out: the partitions whose input waits while their offset stands,
and for how long.

Pure: asks no broker. Time in which nobody could look does not count, so an outage of Kafka is never a standstill of
the role.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

#: The offset of a partition for which the group has committed nothing.
NOTHING_COMMITTED: Final = -1001


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


HoldsRecord = Callable[[Mapping[Place, int]], Mapping[Place, bool]]


@dataclass(frozen=True, slots=True)
class Look:
    """What a broker says of one place: the group's offset with its metadata, and [low, end) of the log."""

    committed: int
    metadata: str | None
    low: int
    end: int

    @property
    def waiting(self) -> int:
        """Offsets not yet done, transaction markers among them."""
        return max(0, self.end - (self.low if self.committed < 0 else max(self.committed, self.low)))


@dataclass(frozen=True, slots=True)
class Standstill:
    """Input waits at `offset` (None: nothing was ever committed), and the offset has not moved for `still_s`."""

    place: Place
    offset: int | None
    waiting: int
    still_s: float

    def told(self) -> str:
        where = "at its beginning" if self.offset is None else f"at offset {self.offset}"
        return (
            f"{self.place.topic}[{self.place.partition}] stands still {where} with {self.waiting} waiting, "
            f"for {self.still_s:.0f} s"
        )


@dataclass(frozen=True, slots=True)
class _Watched:
    """`confirmed`: there is a record at the offset. `empty_at`: nothing but transaction markers up to this end."""

    look: Look
    still_s: float = 0.0
    confirmed: bool = False
    empty_at: int | None = None


class StandstillWatch:
    """Remembers one look. Not thread-safe. `longest_step_s`: more time than this between two looks was an outage."""

    def __init__(self, longest_step_s: float) -> None:
        self._longest_step_s = longest_step_s
        self._places: dict[Place, _Watched] = {}
        self._looked_at: float | None = None

    def look(
        self,
        now: float,
        looks: Mapping[Place, Look],
        holds_record: Callable[[Mapping[Place, int]], Mapping[Place, bool]],
    ) -> list[Standstill]:
        """Every place that stands, the longest first. `now`: monotonic seconds.

        `holds_record` is asked, for offsets that have stood since the look before, whether a record is to be read there
        at all: behind the last record of a transaction the log goes on by a marker. What it leaves out stays unknown,
        and counts.
        """
        step = 0.0 if self._looked_at is None else min(now - self._looked_at, self._longest_step_s)
        self._looked_at = now
        self._places = {place: self._next(self._places.get(place), look, step) for place, look in looks.items()}
        doubtful = {
            place: one.look.low if one.look.committed < 0 else one.look.committed
            for place, one in self._places.items()
            if one.still_s > 0 and not one.confirmed
        }
        if doubtful:
            for place, found in holds_record(doubtful).items():
                one = self._places[place]
                self._places[place] = (
                    replace(one, confirmed=True) if found else replace(one, still_s=0.0, empty_at=one.look.end)
                )
        standing = [
            Standstill(place, None if one.look.committed < 0 else one.look.committed, one.look.waiting, one.still_s)
            for place, one in self._places.items()
            if one.still_s > 0
        ]
        return sorted(standing, key=lambda one: -one.still_s)

    def lag(self) -> dict[Place, int]:
        """Messages that wait, by place; a log that ends in nothing but transaction markers has none."""
        return {place: 0 if one.empty_at == one.look.end else one.look.waiting for place, one in self._places.items()}

    @staticmethod
    def _next(before: _Watched | None, look: Look, step: float) -> _Watched:
        if before is None:
            return _Watched(look)
        moved = (before.look.committed, before.look.metadata) != (look.committed, look.metadata)
        if moved or look.waiting == 0:
            return _Watched(look)
        if before.empty_at == look.end:
            return replace(before, look=look)
        # What waits now waited at the look before, or came since: the time counts from the first look that saw it.
        waited = before.look.waiting > 0 and before.empty_at is None
        return replace(before, look=look, still_s=before.still_s + step if waited else 0.0, empty_at=None)

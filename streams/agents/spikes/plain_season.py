"""In: rows of one plain series. Out: by how much its part of the week usually lies above or below its mean.

The ideas of `baseline` for values that may be negative: a week of slots, each leaning on the same one of like days
while it is young, and on those of all others; five weeks of memory. Slots are quarters of an hour, longer only where
rows are rarer. Nothing here changes but at the end of a slot.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from streams.agents.spikes.baseline import hour_of_week

_HOUR_US: Final = 3_600_000_000
#: Weeks that a slot of the week remembers, and those with which like days and all days weigh beside it.
_MEMORY: Final = 5.0
_LIKE: Final = 1.0
_ALL: Final = 0.25
#: A slot counts as learnt from this part of its rows on.
_LEAST_PART: Final = 0.25


class Season:
    """The shape of one series, in its own unit, for intervals of an hour at most. `at` speaks of what was learnt before
    the running slot."""

    def __init__(self, interval_s: float) -> None:
        self._interval_us = interval_s * 1e6
        self._per_hour = 4 if interval_s <= 900 else 2 if interval_s <= 1800 else 1
        self._slot_us = _HOUR_US // self._per_hour
        self._day = 24 * self._per_hour
        self._least_rows = max(1, round(self._slot_us / self._interval_us * _LEAST_PART))
        self._shape = [0.0] * (7 * self._day)
        self._weight = [0.0] * (7 * self._day)
        self._means: deque[float] = deque(maxlen=7 * self._day)
        self._slot: int | None = None
        self._sum, self._rows = 0.0, 0
        self._around = (0.0, 0.0, 0.0)

    @property
    def is_known(self) -> bool:
        """Whether a day has been learnt."""
        return len(self._means) >= self._day

    def at(self, at_us: int) -> float:
        """What the moment usually lies above the mean; 0 until a day is learnt. Moments come in order."""
        slot, rest = divmod(at_us, self._slot_us)
        if slot != self._slot:
            self._close(slot)
        before, here, after = self._around
        if self._interval_us > self._slot_us / 2:
            return here
        # Between the middles of two slots, what is usual goes from one to the other.
        part = min((rest + self._interval_us / 2) / self._slot_us, 1.0) - 0.5
        return here + part * (after - here) if part > 0 else here - part * (before - here)

    def learn(self, value: float) -> None:
        """Take a value, already freed of what stands out, into the slot of the last `at`."""
        self._sum += value
        self._rows += 1

    def _close(self, slot: int) -> None:
        if self._slot is not None and self._rows >= self._least_rows:
            self._take(self._of_week(self._slot), self._sum / self._rows)
        self._sum, self._rows = 0.0, 0
        self._slot = slot
        if self.is_known:
            here = self._of_week(slot)
            self._around = (self._usual(here - 1), self._usual(here), self._usual(here + 1))

    def _of_week(self, slot: int) -> int:
        hour, part = divmod(slot, self._per_hour)
        return hour_of_week(hour) * self._per_hour + part

    def _take(self, place: int, mean: float) -> None:
        self._means.append(mean)
        count = len(self._means)
        # Whole days only, so that the time of day does not move the mean.
        whole = count // self._day * self._day
        if not whole:
            return
        middle = sum(islice(self._means, count - whole, None)) / whole
        if count == self._day:
            # The first day is the first that has a mean: all of it is learnt at once.
            for back, value in enumerate(reversed(self._means)):
                self._note(place - back, value - middle)
            return
        self._note(place, mean - middle)

    def _note(self, place: int, above: float) -> None:
        place %= len(self._shape)
        weight = self._weight[place] = min(self._weight[place] + 1, _MEMORY)
        self._shape[place] += (above - self._shape[place]) / weight

    def _usual(self, place: int) -> float:
        place %= len(self._shape)
        day, part = divmod(place, self._day)
        like_sum = like_weight = far_sum = far_weight = 0.0
        for other in range(7):
            at = other * self._day + part
            weight = self._weight[at]
            if (other < 5) == (day < 5):
                like_sum += self._shape[at] * weight
                like_weight += weight
            else:
                far_sum += self._shape[at] * weight
                far_weight += weight
        far = far_sum / far_weight if far_weight else like_sum / like_weight if like_weight else 0.0
        near = (like_sum + _ALL * far) / (like_weight + _ALL)
        own = self._weight[place]
        return (self._shape[place] * own + _LIKE * near) / (own + _LIKE)

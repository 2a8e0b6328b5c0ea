"""In: rows of one plain series. Out: by how much its hour of the week usually lies above or below its mean.

The ideas of `baseline` for values that may be negative: 168 hours, an hour leaning on the same hour of like days while it
is young, and those on all others; five weeks of memory. Nothing here changes but at the end of an hour.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from streams.agents.spikes.baseline import WEEK_HOURS, hour_of_week

_HOUR_US: Final = 3_600_000_000
#: Weeks that an hour of the week remembers, and those with which like days and all days weigh beside it.
_MEMORY: Final = 5.0
_LIKE: Final = 1.0
_ALL: Final = 0.25
#: An hour counts as learnt from this part of its rows on.
_LEAST_PART: Final = 0.25


class Season:
    """The shape of one series, in its own unit. `at` speaks of what was learnt before the running hour."""

    def __init__(self, interval_s: float) -> None:
        self._interval_us = interval_s * 1e6
        self._least_rows = max(1, round(3600 / interval_s * _LEAST_PART))
        self._shape = [0.0] * WEEK_HOURS
        self._weight = [0.0] * WEEK_HOURS
        self._hours: deque[float] = deque(maxlen=WEEK_HOURS)
        self._hour: int | None = None
        self._sum, self._rows = 0.0, 0
        self._around = (0.0, 0.0, 0.0)

    @property
    def is_known(self) -> bool:
        """Whether a day has been learnt."""
        return len(self._hours) >= 24

    def at(self, at_us: int) -> float:
        """What the moment usually lies above the mean; 0 until a day is learnt. Moments come in order."""
        hour, rest = divmod(at_us, _HOUR_US)
        if hour != self._hour:
            self._close(hour)
        before, here, after = self._around
        if self._interval_us > _HOUR_US / 2:
            return here
        # Between the middles of two hours, use goes from one to the other.
        part = min((rest + self._interval_us / 2) / _HOUR_US, 1.0) - 0.5
        return here + part * (after - here) if part > 0 else here - part * (before - here)

    def learn(self, value: float) -> None:
        """Take a value, already freed of what stands out, into the hour of the last `at`."""
        self._sum += value
        self._rows += 1

    def _close(self, hour: int) -> None:
        if self._hour is not None and self._rows >= self._least_rows:
            self._take(hour_of_week(self._hour), self._sum / self._rows)
        self._sum, self._rows = 0.0, 0
        self._hour = hour
        if self.is_known:
            here = hour_of_week(hour)
            self._around = (
                self._usual((here - 1) % WEEK_HOURS), self._usual(here), self._usual((here + 1) % WEEK_HOURS)
            )  # fmt: skip

    def _take(self, week_hour: int, mean: float) -> None:
        self._hours.append(mean)
        whole = len(self._hours) // 24 * 24
        if not whole:
            return
        if whole == 24 == len(self._hours):
            # The first day is the first that has a mean: all of its hours are learnt at once.
            middle = sum(self._hours) / 24
            for back, value in enumerate(reversed(self._hours)):
                self._note((week_hour - back) % WEEK_HOURS, value - middle)
            return
        # Whole days only, so that the hour of the day does not move the mean.
        last = sum(self._hours[-1 - back] for back in range(whole)) / whole
        self._note(week_hour, mean - last)

    def _note(self, week_hour: int, above: float) -> None:
        weight = self._weight[week_hour] = min(self._weight[week_hour] + 1, _MEMORY)
        self._shape[week_hour] += (above - self._shape[week_hour]) / weight

    def _usual(self, week_hour: int) -> float:
        day, hour = divmod(week_hour, 24)
        sums, weights = [0.0, 0.0], [0.0, 0.0]
        for other in range(7):
            place = other * 24 + hour
            weight = self._weight[place]
            like = (other < 5) == (day < 5)
            sums[like] += self._shape[place] * weight
            weights[like] += weight
        far = sums[0] / weights[0] if weights[0] else (sums[1] / weights[1] if weights[1] else 0.0)
        near = (sums[1] + _ALL * far) / (weights[1] + _ALL)
        own = self._weight[week_hour]
        return (self._shape[week_hour] * own + _LIKE * near) / (own + _LIKE)

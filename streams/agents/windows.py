"""In: sums per team and event-time minute. Out: totals per team by minute, hour, day and month (UTC), as columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.agents.sums import SumTable, group_sorted, owners, pack, windows

Resolution = Literal["minute", "hour", "day", "month"]
RESOLUTIONS: Final[tuple[Resolution, ...]] = ("minute", "hour", "day", "month")

#: What is kept per team and window; a subset of the tally's measures, in this order.
TEAM_MEASURES: Final = (
    "calls",
    "errors",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "cost_nanousd",
    "provisional_nanousd",
)

#: How far behind the watermark each resolution is kept, in its own windows. Two hours of minutes draw the live curve
#: and outlast any lateness we call on time; eight days of hours hold the same hour a week ago; 62 days hold two
#: calendar months; 14 months hold the same month a year ago and the running one.
KEPT: Final[dict[Resolution, int]] = {"minute": 120, "hour": 8 * 24, "day": 62, "month": 14}
#: Pruning copies a table, so it waits until a sixteenth of the kept span is due.
_SLACK: Final[dict[Resolution, int]] = {name: kept // 16 for name, kept in KEPT.items()}


def _month_of_day(days: np.ndarray) -> np.ndarray:
    """Calendar month (UTC) of days since the epoch."""
    months: np.ndarray = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months


#: Window numbers of a resolution from those of the next finer one.
_COARSEN: Final[dict[Resolution, Callable[[np.ndarray], np.ndarray]]] = {
    "hour": lambda minutes: minutes // 60,
    "day": lambda hours: hours // 24,
    "month": _month_of_day,
}


@dataclass(frozen=True, slots=True)
class TeamWindow:
    """One team in one window; `start` in µs since the epoch, sums in the order of TEAM_MEASURES."""

    resolution: Resolution
    start: int
    sums: tuple[int, ...]


class TeamWindows:
    """Four tables of sums. What lies behind a resolution's floor is left out there, so no partial window comes back."""

    def __init__(self) -> None:
        self.tables: dict[Resolution, SumTable] = {name: SumTable(len(TEAM_MEASURES)) for name in RESOLUTIONS}

    def fold(self, keys: np.ndarray, sums: np.ndarray, watermark_us: int | None) -> None:
        """Add sums[n, measures] under distinct sorted keys[n] of (team, minute)."""
        floors = self.floors(watermark_us)
        for name in RESOLUTIONS:
            if name != "minute":
                # Each resolution is summed from the finer one: the keys stay in order, so nothing is sorted again.
                keys, sums = group_sorted(pack(owners(keys), _COARSEN[name](windows(keys))), sums)
            kept = windows(keys) >= floors[name]
            self.tables[name].add(keys[kept], sums[kept])

    def prune(self, watermark_us: int | None) -> None:
        for name, floor in self.floors(watermark_us).items():
            self.tables[name].drop_before(floor, _SLACK[name])

    @staticmethod
    def floors(watermark_us: int | None) -> dict[Resolution, int]:
        """The oldest window number kept, by resolution; 0 before the first watermark."""
        if watermark_us is None:
            return dict.fromkeys(RESOLUTIONS, 0)
        numbers: dict[Resolution, int] = {}
        window = np.array([watermark_us // 60_000_000], dtype=np.int64)
        for name in RESOLUTIONS:
            window = _COARSEN[name](window) if name != "minute" else window
            numbers[name] = max(0, int(window[0]) - KEPT[name])
        return numbers

    def of_team(self, team: int, watermark_us: int | None) -> list[TeamWindow]:
        """All kept windows of one team, coarse last."""
        floors = self.floors(watermark_us)
        found: list[TeamWindow] = []
        for name in RESOLUTIONS:
            numbers, sums = self.tables[name].owner_rows(team)
            for number, row in zip(numbers.tolist(), sums.tolist(), strict=True):
                if number >= floors[name]:
                    found.append(TeamWindow(name, start_us(name, number), tuple(row)))
        return found


def start_us(resolution: Resolution, number: int) -> int:
    """Start of a window in µs since the epoch."""
    if resolution == "month":
        return int(np.datetime64(number, "M").astype("datetime64[us]").astype(np.int64))
    return number * {"minute": 60, "hour": 3_600, "day": 86_400}[resolution] * 1_000_000

"""In: nothing. Out: when a source is worth an alert, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """All times in broker minutes.

    Quality: a window lasts until it has `window_events` events and `window_minutes`, at most `longest_window`. It is
    bad with at least `least_rejected` refused events (half as many when most are refused) that make up `least_share`,
    stand `rise` times above what is usual and four standard deviations above it. `calm_windows` good ones end an
    episode.

    Silence: a source of at least `known_minutes`, whose largest gap within `gap_days` was at most `largest_gap`, is
    silent after `gap_factor` times that gap, at least `least_silence`. It is given up after `forget_minutes`.
    """

    window_minutes: int = 5
    window_events: int = 20
    longest_window: int = 6 * 60
    least_rejected: int = 10
    least_share: float = 0.01
    rise: float = 3.0
    calm_windows: int = 2
    known_minutes: int = 24 * 60
    gap_days: int = 7
    largest_gap: int = 6 * 60
    gap_factor: int = 3
    least_silence: int = 30
    forget_minutes: int = 7 * 24 * 60

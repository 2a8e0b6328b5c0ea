"""In: an episode that is over, adopted or called noise. Out: what its series has learnt from it."""

from __future__ import annotations

import numpy as np

from streams.agents.spikes.buckets import COST, WIDTH
from streams.agents.spikes.episode import Episode
from streams.agents.spikes.evidence import MEASURES
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.roster import Roster


def remember(roster: Roster, episode: Episode, row: int, policy: SpikePolicy) -> bool:
    """What ended by itself may come again: a little more is asked next time. False where that is no lesson."""
    if episode.activity is not None or episode.said == "expected":
        return False
    top, at = roster.rows["top"], MEASURES.index(episode.measure)
    top[row, at] = max(float(top[row, at]), min(episode.strength, policy.most_remembered))
    return True


def take_as_usual(roster: Roster, episode: Episode, row: int) -> None:
    """What was noise is no rise from now on: so strong it may be in quiet times."""
    rows, running = roster.rows, roster.running
    at = MEASURES.index(episode.measure)
    rows["top"][row, at] = max(float(rows["top"][row, at]), episode.strength)
    seen = running["observed"][row].max(axis=0)
    rows["peak"][row] = np.maximum(rows["peak"][row], seen[[0, COST]])


def note_new_usual(roster: Roster, episode: Episode, row: int) -> None:
    """Note the new usual of the series, and of those whose sums hold it or are held in it."""
    sums = episode.sums
    observed, expected = np.array(sums.observed), np.array(sums.expected)
    roster.running["adopt"][row] = _ratios(observed, expected)
    parent = int(roster.parent[row])
    if parent >= 0:
        around = np.array(sums.around)
        roster.running["adopt"][parent] = _ratios(around + observed - expected, around)
    for child in roster.children.get(row, ()):
        part = sums.parts.get(roster.series(child).use_case or "")
        if part is not None:
            roster.running["adopt"][child] = _ratios(np.array(part[0]), np.array(part[1]))


def _ratios(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Observed over expected sums, within bounds; 1 where nothing was expected."""
    ratio = np.divide(observed, expected, out=np.ones(WIDTH), where=expected > 0)
    bounded: np.ndarray = np.clip(ratio, 0.02, 50)
    return bounded

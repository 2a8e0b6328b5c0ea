"""In: a batch of budget rows with its moments. Out: the same in stretches, cut where event time passes what matters.

Whatever turns at a moment of event time (an exception's beginning and end, the day by which old periods are let go)
turns with the message that passes it, before the rows of that message: so the batching of messages does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streams.agents.batch import BudgetRows
from streams.agents.floors import DAY_US
from streams.agents.verdicts import Timeline

_BEFORE_ALL = -(2**63)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a batch. `turned`: a boundary was passed with its first message."""

    rows: BudgetRows
    timeline: Timeline
    turned: bool


def stretches(rows: BudgetRows, timeline: Timeline, boundaries: np.ndarray) -> Iterator[Stretch]:
    """At least one, in order. `boundaries`: sorted moments of event time in µs."""
    before = _us(None if timeline.before is None else timeline.before.watermark_us)
    marks = np.array([before, *(_us(moment.watermark_us) for moment in timeline.moments)], dtype=np.int64)
    passed = np.searchsorted(boundaries, marks, "right")
    # Before its first mark the clock stands in for event time: the first mark is a turn as well.
    turned = (passed[1:] != passed[:-1]) | ((marks[:-1] == _BEFORE_ALL) & (marks[1:] != _BEFORE_ALL))
    days = marks // DAY_US
    cuts = np.flatnonzero(turned | (days[1:] != days[:-1])).tolist()
    if not cuts:
        yield Stretch(rows, timeline, False)
        return
    edges = [0, *(cut for cut in cuts if cut > 0), timeline.entries]
    for first, limit in pairwise(edges):
        moments = timeline.moments[first:limit]
        earlier = timeline.moments[first - 1] if first else timeline.before
        own = (rows.order >= first) & (rows.order < limit)
        part = BudgetRows(rows.keys[own], rows.order[own] - first, rows.minute[own], rows.sums[own])
        yield Stretch(part, Timeline(moments, moments[-1], earlier), bool(turned[first]))


def _us(watermark_us: int | None) -> int:
    return _BEFORE_ALL if watermark_us is None else watermark_us

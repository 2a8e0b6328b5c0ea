"""Late marks do not depend on where batches are cut, and a fast clock cannot push the watermark."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.enrich.watermark import MAX_SKEW_US, mark_late
from tests.support.enrich import NOON_US

LATENESS_US = 120_000_000
TIMES = st.lists(st.tuples(st.integers(-400, 400), st.integers(0, 400)), max_size=30)


@given(TIMES, st.lists(st.integers(0, 30), max_size=5))
def test_batch_boundaries_do_not_matter(times: list[tuple[int, int]], cuts: list[int]) -> None:
    occurred = np.asarray([NOON_US + one * 1_000_000 for one, _ in times], np.int64)
    append = np.asarray([NOON_US + other * 1_000_000 for _, other in times], np.int64)
    whole, greatest = mark_late(occurred, append, None, LATENESS_US)
    parts: list[bool] = []
    running: int | None = None
    edges = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
    for start, stop in pairwise(edges):
        late, running = mark_late(occurred[start:stop], append[start:stop], running, LATENESS_US)
        parts.extend(late.tolist())
    assert parts == whole.tolist()
    assert running == greatest

    expected, top = [], None
    for one, other in zip(occurred.tolist(), append.tolist(), strict=True):
        expected.append(top is not None and one < top - LATENESS_US)
        capped = min(one, other + MAX_SKEW_US)
        top = capped if top is None else max(top, capped)
    assert whole.tolist() == expected
    assert greatest == top


def test_a_clock_that_runs_ahead_moves_the_watermark_by_the_tolerance_at_most() -> None:
    append = np.asarray([NOON_US, NOON_US], np.int64)
    late, greatest = mark_late(np.asarray([NOON_US + 3_600_000_000, NOON_US]), append, None, LATENESS_US)
    assert greatest == NOON_US + MAX_SKEW_US
    assert late.tolist() == [False, False]

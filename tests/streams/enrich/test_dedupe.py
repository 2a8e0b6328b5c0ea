"""The window against a plain dict: horizon, repeats within a batch, conflicts, merges, the bound by count, replays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.enrich.dedupe import ACCEPTED, CONFLICT, DUPLICATE, Fingerprints, Window, fingerprints
from streams.enrich.hashing import mix

MINUTE_US = 60_000_000
HORIZON = 10
#: Broker minutes count modulo 2^24: these stand before and across the turn.
STARTS = (29_500_000, (1 << 25) - 15)

Row = tuple[int, int, int]
"""(id, content, broker minute)"""


def prints(rows: list[Row]) -> Fingerprints:
    ids, contents, minutes = (np.asarray([row[place] for row in rows], np.int64) for place in range(3))
    return fingerprints(mix(ids.astype(np.uint64)), mix(contents.astype(np.uint64)), minutes * MINUTE_US)


class Model:
    """A dict from id to (content, minute) of what was accepted last."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[int, int]] = {}

    def judge(self, row: Row) -> int:
        number, content, minute = row
        held = self.held.get(number)
        if held is not None and minute - held[1] <= HORIZON:
            return int(DUPLICATE if held[0] == content else CONFLICT)
        self.held[number] = (content, minute)
        return int(ACCEPTED)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Row]]:
    """Broker time only grows, as LogAppendTime does."""
    minute = draw(st.sampled_from(STARTS))
    out = []
    for steps in draw(st.lists(st.lists(st.integers(0, 7), max_size=12), max_size=8)):
        rows = []
        for step in steps:
            minute += step
            rows.append((draw(st.integers(0, 5)), draw(st.integers(0, 1)), minute))
        out.append(rows)
    return out


@given(batches())
def test_as_a_dict_would_judge(given_batches: list[list[Row]]) -> None:
    window, model = Window(HORIZON * MINUTE_US, 1_000), Model()
    for rows in given_batches:
        batch = prints(rows)
        verdicts = window.judge(batch)
        assert verdicts.tolist() == [model.judge(row) for row in rows]
        window.add(batch.take(verdicts == ACCEPTED))


@given(batches(), st.integers(1, 6))
def test_folding_the_same_batches_again_judges_the_same(given_batches: list[list[Row]], max_ids: int) -> None:
    """Also when ids were dropped by count: a restored window must not judge a repeat unlike the one that died."""
    live = Window(HORIZON * MINUTE_US, max_ids)
    log: list[Fingerprints] = []
    for rows in given_batches:
        batch = prints(rows)
        restored = Window(HORIZON * MINUTE_US, max_ids)
        for record in log:
            restored.add(record)
        verdicts = live.judge(batch)
        assert restored.judge(batch).tolist() == verdicts.tolist()
        accepted = batch.take(verdicts == ACCEPTED)
        live.add(accepted)
        log.append(accepted)


def test_sixteen_bytes_an_id_and_bounded_by_count() -> None:
    window = Window(86_400 * 1_000_000, 10_000)
    for minute in range(100):
        window.add(prints([(minute * 1_000 + n, 0, STARTS[0] + minute) for n in range(1_000)]))
        assert window.nbytes <= 16 * len(window)
        assert len(window) <= 10_000 * 5 // 4 + 1_000
    assert window.judge(prints([(99_500, 0, STARTS[0] + 99)])).tolist() == [DUPLICATE]
    assert window.judge(prints([(500, 0, STARTS[0] + 99)])).tolist() == [ACCEPTED]
    assert window.horizon_minutes_held() == 9


def test_what_expired_leaves_memory() -> None:
    """Also where the horizon alone decides."""
    window = Window(HORIZON * MINUTE_US, 1_000_000)
    for minute in range(100):
        window.add(prints([(minute * 1_000 + n, 0, STARTS[0] + minute) for n in range(1_000)]))
        assert len(window) <= (HORIZON + 1) * 1_000 * 5 // 4
    assert len(window) >= (HORIZON + 1) * 1_000


def test_the_newest_minute_counts_whatever_its_size() -> None:
    window = Window(HORIZON * MINUTE_US, 10)
    rows = [(n, 0, STARTS[0]) for n in range(1_000)]
    window.add(prints(rows))
    assert set(window.judge(prints(rows)).tolist()) == {DUPLICATE}


def test_the_content_decides_between_a_resend_and_a_conflict() -> None:
    window = Window(HORIZON * MINUTE_US, 10)
    window.add(prints([(1, 7, STARTS[0])]))
    rows = [(1, 7, STARTS[0]), (1, 8, STARTS[0]), (2, 1, STARTS[0]), (2, 1, STARTS[0]), (2, 3, STARTS[0])]
    assert window.judge(prints(rows)).tolist() == [DUPLICATE, CONFLICT, ACCEPTED, DUPLICATE, CONFLICT]


def test_a_remembered_id_is_free_again_behind_the_horizon_within_one_batch() -> None:
    window = Window(HORIZON * MINUTE_US, 10)
    window.add(prints([(1, 7, STARTS[0])]))
    rows = [(1, 7, STARTS[0] + HORIZON), (1, 8, STARTS[0] + HORIZON + 1), (1, 8, STARTS[0] + HORIZON + 2)]
    assert window.judge(prints(rows)).tolist() == [DUPLICATE, ACCEPTED, DUPLICATE]


@pytest.mark.parametrize("rows", [[], [(1, 1, STARTS[0])]])
def test_judging_changes_nothing(rows: list[Row]) -> None:
    window = Window(HORIZON * MINUTE_US, 10)
    first = window.judge(prints(rows)).tolist()
    assert window.judge(prints(rows)).tolist() == first
    assert len(window) == 0
    assert window.horizon_minutes_held() == 0

"""Slow and hot, through the columns of enrich: one team nearly alone, days late, a clock a day ahead, a replay of last
month beside live traffic. Totals are exact, the watermark neither stalls nor jumps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pytest

from schemas.usage import MAX_FUTURE_US
from streams.enrich.batch import BatchResult, PartitionState
from streams.enrich.pipeline import Pipeline
from streams.enrich.watermark import MAX_SKEW_US
from tests.streams.enrich.oracle import RECORDS
from tests.support.enrich import CONFIG, NOON_US, Event, avro_value, event, fresh_states, rules_of, source_batch

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
LATENESS: Final = CONFIG.lateness_s * SECOND
RULES: Final = rules_of(*RECORDS)


class Worker:
    """One partition's life: batches in, what became of them and the watermark after each out."""

    def __init__(self) -> None:
        self._pipeline = Pipeline(CONFIG, "usage.events", 4, None)
        self._states: dict[int, PartitionState] = fresh_states(0)
        self.results: list[BatchResult] = []
        self.watermarks: list[int | None] = []

    def take(self, events: Sequence[Event], append_us: int) -> None:
        state = self._states[0]
        batch = source_batch([avro_value(one) for one in events], first=state.position, append_us=append_us)
        result = self._pipeline.run(batch, RULES, self._states)
        [done] = result.partitions
        state.window.add(done.fingerprints)
        state.position, state.greatest_us = done.range.next, done.greatest_us
        self.results.append(result)
        self.watermarks.append(None if done.greatest_us is None else done.greatest_us - LATENESS)

    def rows(self) -> list[dict[str, Any]]:
        return [row for result in self.results for done in result.partitions for row in done.block.to_pylist()]

    def cells(self) -> Counter[tuple[str, int]]:
        """Calls by team and event-time minute, from the tallies."""
        calls: Counter[tuple[str, int]] = Counter()
        for result in self.results:
            for table in result.tallies.values():
                for row in table.to_pylist():
                    if row["team_id"] is not None:
                        calls[row["team_id"], row["minute"]] += row["calls"]
        return calls


def live(number: int, at: int, team: int = 1, **fields: Any) -> Event:
    return event(number, occurred_at=at, credential_id=f"key-{team}", **fields)


def minutes_of(events: Sequence[Event]) -> Counter[tuple[str, int]]:
    return Counter((one["credential_id"].replace("key", "team"), one["occurred_at"] // (60 * SECOND)) for one in events)


def test_one_team_sends_nine_of_ten_events() -> None:
    worker, sent = Worker(), []
    for second in range(40):
        now = NOON_US + second * SECOND
        events = [live(second * 10 + n, now - n * 1_000, team=0 if n else second % 5) for n in range(10)]
        sent += events
        worker.take(events, now)
    assert worker.cells() == minutes_of(sent)
    assert worker.cells().total() == 400
    assert not any(row["late"] for row in worker.rows())


def test_events_three_days_late_reach_their_own_minute() -> None:
    worker = Worker()
    old = [live(n, NOON_US - 3 * DAY + n * 60 * SECOND, team=2) for n in range(20)]
    new = [live(100 + n, NOON_US + n * SECOND) for n in range(20)]
    for n in range(20):
        worker.take([new[n], old[n]], NOON_US + n * SECOND)
    assert worker.cells() == minutes_of([*old, *new])
    assert {row["event_id"] for row in worker.rows() if row["late"]} == {one["event_id"] for one in old}
    # Late rows hold nothing back.
    assert worker.watermarks == [NOON_US + n * SECOND - LATENESS for n in range(20)]


def test_a_clock_that_runs_ahead_moves_no_watermark_beyond_the_brokers() -> None:
    worker = Worker()
    for n in range(30):
        now = NOON_US + n * SECOND
        ahead = live(1_000 + n, now + DAY - SECOND, team=3)
        worker.take([live(n, now), ahead], now)
    marks = [mark for mark in worker.watermarks if mark is not None]
    assert marks == [NOON_US + n * SECOND + MAX_SKEW_US - LATENESS for n in range(30)]
    rows = worker.rows()
    assert len(rows) == 60
    # Others, whose clocks are right, are not called late for it: the tolerance is less than the lateness.
    assert not any(row["late"] for row in rows)
    assert max(row["occurred_at"] for row in rows) > max(row["ingested_at"] for row in rows)


@pytest.mark.parametrize(("ahead", "refused"), [(0, False), (1, True)])
def test_more_than_a_day_ahead_is_refused(ahead: int, refused: bool) -> None:
    worker = Worker()
    worker.take([live(0, NOON_US + MAX_FUTURE_US + ahead)], NOON_US)
    [done] = worker.results[0].partitions
    assert [one.code for one in done.rejections] == (["too_far_ahead"] if refused else [])
    assert (worker.watermarks[0] is None) == refused


def test_last_months_replay_beside_live_traffic() -> None:
    """Also where whole batches are replay alone: the watermark stands at live time, and goes on with it."""
    worker, sent = Worker(), []
    for n in range(90):
        now = NOON_US + n * SECOND
        replayed = [live(10_000 + n * 3 + k, NOON_US - 30 * DAY + (n * 3 + k) * 60 * SECOND, team=4) for k in range(3)]
        events = replayed if n % 3 == 1 else [live(n, now), *replayed]
        sent += events
        worker.take(events, now)
    assert worker.cells() == minutes_of(sent)
    marks = [mark or 0 for mark in worker.watermarks]
    assert marks == sorted(marks)
    assert all(NOON_US + n * SECOND - mark <= LATENESS + 2 * SECOND for n, mark in enumerate(marks))
    assert {row["team_id"] for row in worker.rows() if row["late"]} == {"team-4"}
    assert sum(1 for row in worker.rows() if not row["late"]) == 60


def test_an_empty_partition_has_no_watermark_and_a_refused_start_gives_it_none() -> None:
    worker = Worker()
    worker.take([live(0, NOON_US, input_tokens=-1)], NOON_US)
    worker.take([live(1, NOON_US)], NOON_US)
    assert worker.watermarks == [None, NOON_US - LATENESS]

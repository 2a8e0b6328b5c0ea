"""The score of plain series, on planted anomalies of series made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.agents.spikes.plain import IntervalError, PlainScorer, interval_of, score_series, warm_up_rows

START_US = int(datetime(2026, 9, 7, tzinfo=UTC).timestamp()) * 1_000_000
PLANTED, QUIET = 6.0, 4.0


@dataclass(frozen=True, slots=True)
class Planted:
    """A series, and the rows [first, end) that are anomalies."""

    name: str
    interval_s: int
    values: list[float]
    anomalies: list[tuple[int, int]] = field(default_factory=list)

    @property
    def times_us(self) -> list[int]:
        return [START_US + row * self.interval_s * 1_000_000 for row in range(len(self.values))]


def planted(seed: int) -> list[Planted]:
    """One of each: shift, spike, dip, week, trend, flat, counts; three to six weeks each."""
    random = np.random.default_rng(seed)

    def noise(rows: int, sd: float = 1.0) -> np.ndarray:
        return random.normal(0, sd, rows)

    def week(rows: int, interval_s: int) -> np.ndarray:
        hour = np.arange(rows) * interval_s / 3600
        work = (hour // 24 % 7 < 5) * 1.0
        shape: np.ndarray = np.maximum(np.sin((hour % 24 - 6) / 12 * np.pi), 0) * (0.3 + 0.7 * work)
        return shape

    shift = 50 + noise(6048)
    shift[4000:] += 12
    spike = 200 + noise(6048, 5)
    spike[[3000, 5000]] += 60
    dip = 20 + 8 * week(8064, 300) + noise(8064, 0.5)
    dip[7000:7012] -= 10
    weekly = 100 + 400 * week(1008, 3600)
    weekly *= np.exp(noise(1008, 0.05))
    busy, night = 24 * 36 + 12, 24 * 37 + 2
    weekly[busy] *= 1.8
    weekly[night] += 150
    trend = np.arange(4032) * 0.05 + noise(4032, 2)
    trend[3000:3003] += 25
    flat = 0.5 + noise(20_000, 0.02)
    flat[15_000] = 0.8
    counts = random.poisson(0.2, 6048).astype(float)
    counts[4500:4506] += 6
    busy_counts = random.poisson(3 + 20 * week(6048, 300)).astype(float)
    busy_counts[12 * 24 * 17 + 2 * 12 : 12 * 24 * 17 + 3 * 12] += 20
    constant = np.full(2000, 7.5)
    constant[1500] = 9.0
    daily = 1000 + noise(400, 30)
    daily[300] = 1400
    return [
        Planted("level shift", 300, shift.tolist(), [(4000, 4012)]),
        Planted("spike", 300, spike.tolist(), [(3000, 3001), (5000, 5001)]),
        Planted("dip", 300, dip.tolist(), [(7000, 7012)]),
        Planted("weekly season", 3600, weekly.tolist(), [(busy, busy + 1), (night, night + 1)]),
        Planted("trend", 300, trend.tolist(), [(3000, 3003)]),
        Planted("flat with noise", 60, flat.tolist(), [(15_000, 15_001)]),
        Planted("sparse counts", 300, counts.tolist(), [(4500, 4506)]),
        Planted("counts with a season", 300, busy_counts.tolist(), [(12 * 24 * 17 + 24, 12 * 24 * 17 + 36)]),
        Planted("constant", 300, constant.tolist(), [(1500, 1501)]),
        Planted("days", 86_400, daily.tolist(), [(300, 301)]),
    ]


NAMES = [one.name for one in planted(0)]


def scored(one: Planted) -> np.ndarray:
    return np.array(score_series(one.times_us, one.values))


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("at", range(len(NAMES)), ids=NAMES)
def test_planted_anomalies_stand_out_and_the_others_do_not(at: int, seed: int) -> None:
    one = planted(seed)[at]
    scores = scored(one)
    others = np.ones(len(scores), bool)
    others[: warm_up_rows(one.interval_s)] = False
    assert not scores[~others].any(), "the warm-up"
    for first, end in one.anomalies:
        assert scores[first : first + 3].max() > PLANTED, first
        others[first : end + 2] = False
    assert (scores[others] < QUIET).mean() >= 0.995


def test_scores_are_about_standard_deviations_whatever_the_unit() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 4000)
    noise[3500] = 10
    scores = [
        scored(Planted("", 300, (level + unit * noise).tolist())) for level, unit in ((0, 1), (7, 1e-3), (-50, 1e6))
    ]
    for one in scores:
        assert 8 < one[3500] < 13
        assert 0.6 < np.median(one[300:]) < 1.3
    assert np.quantile(np.abs(scores[0] - scores[2])[1000:], 0.99) < 0.1


def test_falls_count_like_rises() -> None:
    values = np.random.default_rng(2).normal(0.5, 1, 2000)
    values[1500] += 12
    up, down = (scored(Planted("", 300, (sign * values).tolist())) for sign in (1, -1))
    assert np.array_equal(up, down)


def test_what_lasts_is_the_new_usual_and_its_end_is_not_told() -> None:
    values = np.random.default_rng(3).normal(100, 1, 3000)
    values[2000:2040] += 20
    scores = scored(Planted("", 300, values.tolist()))
    assert scores[2000] > PLANTED
    assert scores[2008:2040].max() < QUIET, "adopted"
    assert scores[2040:2060].max() < QUIET, "back at the former level"
    values[2500] += 20
    assert scored(Planted("", 300, values.tolist()))[2500] > PLANTED, "the next one is told"


def test_a_weak_shift_is_told_by_several_rows() -> None:
    values = np.random.default_rng(4).normal(0, 1, 3000)
    quiet = scored(Planted("", 300, values.tolist()))[2000:2012].max()
    values[2000:2012] += 3
    shifted = scored(Planted("", 300, values.tolist()))[2000:2012].max()
    assert shifted > QUIET > quiet


def test_what_is_usual_at_its_hour_is_none_and_its_absence_is_one() -> None:
    one = next(one for one in planted(5) if one.name == "dip")
    noon = 288 * 22 + 144
    assert scored(one)[noon - 6 : noon + 6].max() < QUIET
    values = list(one.values)
    values[noon : noon + 6] = [value - 8 for value in values[noon : noon + 6]]
    assert scored(Planted("", 300, values))[noon : noon + 2].max() > PLANTED


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0])), min_size=60, max_size=400),
    st.lists(st.integers(0, 40), min_size=400, max_size=400),
    st.integers(0, 400),
    st.sampled_from([1, 60, 1800, 3600, 86_400]),
)
@example([0.0] * 100 + [1e150, -1e150] * 20, [1] * 400, 110, 60)
def test_no_score_depends_on_later_rows(values: list[float | None], steps: list[int], cut: int, interval: int) -> None:
    steps[:100] = [1] * 100
    times = [START_US + sum(steps[:row]) * interval * 1_000_000 for row in range(len(values))]
    whole = score_series(times, values)
    assert whole[:cut] == score_series(times[:cut], values[:cut])
    assert all(0 <= score <= 1000 for score in whole)


def test_rows_without_value_and_missing_rows_change_little() -> None:
    one = next(one for one in planted(6) if one.name == "spike")
    random = np.random.default_rng(6)
    holes = [None if random.random() < 0.1 and row != 3000 else value for row, value in enumerate(one.values)]
    assert sum(value is None for value in holes) > 500
    empty = score_series(one.times_us, holes)
    assert {score for score, value in zip(empty, holes, strict=True) if value is None} == {0.0}
    kept = [(at, value) for at, value in zip(one.times_us, holes, strict=True) if value is not None]
    missing = score_series([at for at, _ in kept], [value for _, value in kept])
    assert missing == [score for score, value in zip(empty, holes, strict=True) if value is not None]
    assert empty[3000] > PLANTED


def test_after_a_gap_the_closest_level_is_believed() -> None:
    values = (np.arange(3000) * 0.5 + np.random.default_rng(7).normal(0, 1, 3000)).tolist()
    times = [START_US + row * 60_000_000 for row in range(3000)]
    gap = [at + (3_600_000_000 if row >= 2000 else 0) for row, at in enumerate(times)]
    values[2000] += 3
    assert score_series(gap, values)[2000] <= score_series(times, values)[2000]
    values[2000] += 3000
    assert score_series(gap, values)[2000] > PLANTED, "what no level explains"


@pytest.mark.parametrize(
    ("steps", "interval"), [([60] * 5, 60.0), ([300, 0, 300, 4000, 300], 300.0), ([], 60.0), ([0, 0], 60.0)]
)
def test_the_interval_is_the_median_step(steps: list[int], interval: float) -> None:
    times = [sum(steps[:row]) * 1_000_000 for row in range(len(steps) + 1)]
    assert interval_of(times) == interval


@pytest.mark.parametrize("step_us", [500_000, 86_401_000_000])
def test_other_intervals_are_refused_with_what_to_do(step_us: int) -> None:
    with pytest.raises(IntervalError, match=r"seconds apart.*check the unit of the timestamps"):
        interval_of([0, step_us, 2 * step_us])


def test_rows_of_one_moment_are_judged_one_after_the_other() -> None:
    scorer = PlainScorer(300)
    for row in range(1000):
        assert scorer.score(START_US + row * 300_000_000, 5 + (row * 7 % 5) / 10) < QUIET
    again = [scorer.score(START_US + 999 * 300_000_000, value) for value in (5.1, 50.0, 5.2)]
    assert again[0] < QUIET
    assert again[1] > PLANTED
    assert again[2] < QUIET

"""The forecast of one zone's budgets, from plain hours."""

from __future__ import annotations

import numpy as np
import pytest

from streams.agents.forecast.gamma import Z90, chance_above, quantile
from streams.agents.forecast.learning import LocalHour, learn
from streams.agents.forecast.local_time import HOUR_US
from streams.agents.forecast.memory import ROW, fresh
from streams.agents.forecast.memory_table import forecast_rows, forecasts_table
from streams.agents.forecast.model import Rest, outlook

#: Monday, 2 June 2025, 00:00 UTC.
MONDAY = 485_328
WEEK = 168


def office(hour: int) -> float:
    """1,000 an hour from 8 to 18 on workdays, nothing else."""
    return 1_000.0 if hour % 24 in range(8, 18) and (hour - MONDAY) // 24 % 7 < 5 else 0.0


def learnt(hours: int, growth: float = 1.0) -> np.ndarray:
    rows = fresh(1)
    for hour in range(MONDAY, MONDAY + hours):
        amount = office(hour) * growth ** ((hour - MONDAY) / WEEK)
        learn(rows, LocalHour.of("UTC", hour), np.array([amount]))
    return rows


@pytest.mark.parametrize("gone", [0, 12, 4 * 24, 5 * 24])
def test_a_week_that_repeats_is_told_to_its_end_from_any_hour(gone: int) -> None:
    hour = MONDAY + 6 * WEEK + gone
    rest = Rest.of("UTC", hour, (MONDAY + 7 * WEEK) * HOUR_US)
    seen = outlook(learnt(6 * WEEK + gone), hour, rest)
    expected = sum(office(at) for at in range(hour, MONDAY + 7 * WEEK))
    assert seen.mean[0] == pytest.approx(expected, rel=0.01, abs=20)


def test_growth_goes_on() -> None:
    hour = MONDAY + 8 * WEEK
    seen = outlook(learnt(8 * WEEK, 1.1), hour, Rest.of("UTC", hour, (hour + WEEK) * HOUR_US))
    level_of_last_week = 50_000 * 1.1**7.3
    assert seen.mean[0] > 1.04 * level_of_last_week


def test_a_quantile_is_exceeded_as_often_as_it_says() -> None:
    mean, variation = np.array([10.0, 10.0]), np.array([0.04, 0.5])
    assert chance_above(mean, variation, quantile(mean, variation, Z90)) == pytest.approx([0.1, 0.1], abs=1e-6)
    assert chance_above(mean, variation, np.array([-1.0, 0.0])) == pytest.approx([1.0, 1.0], abs=1e-3)


def test_a_memory_is_half_a_kilobyte_and_comes_back_from_a_checkpoint() -> None:
    assert ROW.itemsize <= 530
    rows = learnt(10 * 24)
    again = forecast_rows(forecasts_table(np.array([7]), rows))
    assert again is not None
    assert again[0].tolist() == [7]
    assert again[1].tobytes() == rows.tobytes()

"""In: incidents and alerts that a person can check by eye. Out: what is found, missed and false."""

from __future__ import annotations

import numpy as np

from benchmarks.spikes.fleet import Fleet, Series
from benchmarks.spikes.labels import Incident, Plan, Raised
from benchmarks.spikes.peers import episodes, gaussian_grid, litellm
from benchmarks.spikes.score import judge

_DAY = 1_440
_ONE = Incident(0, "chat", "prompt_bloat", "small", 20 * _DAY, 20 * _DAY, 20 * _DAY + 120, 3.0, 20.0)


def _fleet(*incidents: Incident, plans: tuple[Plan, ...] = ()) -> Fleet:
    none = np.zeros(0, dtype=np.int64)
    return Fleet(8, 2, ("chat",), none, none, none, none, none, np.zeros((0, 7), np.int64), incidents, plans)


def _at(minutes: int, team: int = 0) -> Raised:
    return Raised(team, _ONE.start + minutes, "chat", ("calls", "input_per_call"), "prompt_bloat")


def test_the_first_alert_finds_it_and_an_echo_is_false() -> None:
    outcome = judge(_fleet(_ONE), [_at(7), _at(60)], announced=True)
    assert [one.delay for one in outcome.found] == [7]
    assert outcome.false == [_at(60)]
    assert outcome.figures()["f1"] == 2 / 3
    assert outcome.causes() == {
        "cause_first": 0.0,
        "cause_among_three": 1.0,
        "incident_named": 1.0,
        "use_case_named": 1.0,
    }


def test_before_it_after_it_and_another_team_are_false() -> None:
    outcome = judge(_fleet(_ONE), [_at(-1), _at(151), _at(10, team=1)], announced=True)
    assert len(outcome.false) == 3
    assert outcome.missed == [_ONE]


def test_half_an_hour_after_its_end_it_is_still_found() -> None:
    assert judge(_fleet(_ONE), [_at(150)], announced=True).found[0].delay == 150


def test_a_reminder_hours_later_is_neither() -> None:
    long = Incident(0, "chat", "prompt_bloat", "small", 20 * _DAY, 20 * _DAY, 21 * _DAY, 3.0, 20.0)
    outcome = judge(_fleet(long), [_at(7), _at(7 + 361)], announced=True)
    assert (len(outcome.found), len(outcome.false)) == (1, 0)


def test_the_warm_up_is_left_out() -> None:
    early = Incident(0, "chat", "load_test", "large", 13 * _DAY, 13 * _DAY, 13 * _DAY + 60, 3.0, 20.0)
    outcome = judge(_fleet(early), [Raised(1, 13 * _DAY)], announced=True)
    assert (outcome.found, outcome.missed, outcome.false) == ([], [], [])
    assert outcome.team_weeks == 12


def test_announced_work_is_false_only_for_whoever_was_told_of_it() -> None:
    made = _fleet(plans=(Plan(0, "chat", "load test", 20 * _DAY, 20 * _DAY + 60),))
    assert judge(made, [_at(5)], announced=True).false == [_at(5)]
    assert judge(made, [_at(5)], announced=False).false == []
    told = Raised(0, 20 * _DAY + 5, page=False)
    assert judge(made, [told], announced=True).false == []


def test_what_stayed_below_the_rule_is_neither() -> None:
    below = Incident(0, "chat", "retry_storm", "small", 20 * _DAY, 20 * _DAY, 20 * _DAY + 60, 2.0, 5.0, counts=False)
    outcome = judge(_fleet(below), [_at(5)], announced=True)
    assert (outcome.found, outcome.missed, outcome.false) == ([], [], [])


def test_litellm_tells_once_a_day_at_the_hour_when_it_is_over() -> None:
    usd = np.ones((1, 10 * 288))
    usd[0, 8 * 288 + 100 :][:30] = 100
    raised = litellm(Series(np.zeros(1, np.int64), usd), {"times": 3.0, "least_usd": 10.0})
    assert [one.minute for one in raised] == [8 * _DAY + 9 * 60]


def test_an_episode_begins_after_so_many_in_a_row_and_only_when_it_was_quiet() -> None:
    over = np.zeros((1, 40), dtype=bool)
    over[0, [3, 10, 11, 14, 15, 30, 31]] = True
    assert episodes(over, 2, 6) == [(0, 11), (0, 31)]
    assert episodes(over, 1, 2) == [(0, 3), (0, 10), (0, 14), (0, 30)]
    assert len(list(gaussian_grid())) == 270

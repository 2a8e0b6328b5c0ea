"""The detector on simulated months: incidents found soon and explained, quiet months quiet, any batching the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.spikes.buckets import BUCKET_US, CLASS_LIMIT, PAIR_LIMIT, bucket_keys
from streams.agents.spikes.pairs import Pairs
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.watch import SpikeWatch
from streams.agents.sums import group
from streams.agents.verdicts import Timeline
from streams.agents.watermarks import Moment
from tests.streams.agents.spikes.usage_simulation import DAY, START, TEAMS, Incident, Kind, Month, simulate

NOTHING = ControlSnapshot()
#: Money as in small teams.
POLICY = SpikePolicy(excess_per_hour=3 * 10**8, excess_total=15 * 10**7, early_excess=10**9)
#: From ten in the morning of a Thursday in the second week.
WORKDAY = 10 * DAY + 10 * 12


def watch_of(teams: int = TEAMS, policy: SpikePolicy | None = None) -> SpikeWatch:
    pairs, classes = Pairs(PAIR_LIMIT), Names(CLASS_LIMIT)
    for number in range(teams):
        pairs.number(f"team-{number}\x1f")
    for name in ("small", "standard", "frontier"):
        classes.number(name)
    return SpikeWatch(policy or POLICY, pairs, classes, 2 * 86_400 * 1_000_000)


def feed(watch: SpikeWatch, month: Month, first: int, limit: int) -> list[Alert]:
    """Give the buckets [first, limit) of the month and let the watermark pass them."""
    rows = (month.bucket >= START + first) & (month.bucket < START + limit)
    keys = bucket_keys(month.team[rows], month.model_class[rows], month.bucket[rows])
    watch.buckets.table.add(*group(keys, month.sums[rows]))
    end_us = (START + limit) * BUCKET_US
    moment = Moment(end_us, end_us, end_us)
    return watch.settle(Timeline((moment,), moment), NOTHING, end_us)


def told(alerts: Sequence[Alert]) -> list[dict[str, object]]:
    return [alert.model_dump(exclude={"evaluated_at", "historical"}) for alert in alerts]


#: Kind, factor, and the leading causes that tell people the right thing, by team.
INCIDENTS: dict[int, tuple[Kind, float, tuple[str, ...]]] = {
    4: ("calls", 8.0, ("calls",)),
    6: ("tokens", 6.0, ("input_per_call",)),
    7: ("price", 6.0, ("price_per_token", "model_mix")),
    8: ("cache", 1.0, ("cache_share",)),
}


@dataclass(frozen=True)
class Story:
    """A month with four incidents, a watch that stands two hours before them, and what it tells from there on."""

    month: Month
    before: SpikeWatch
    alerts: list[Alert]


@pytest.fixture(scope="module")
def story() -> Story:
    incidents = [Incident(kind, team, WORKDAY, 48, factor) for team, (kind, factor, _) in INCIDENTS.items()]
    month = simulate(11, 11, incidents)
    watch = watch_of()
    feed(watch, month, 0, WORKDAY - 24)
    return Story(month, watch, feed(copy_of(watch), month, WORKDAY - 24, month.days * DAY))


def copy_of(watch: SpikeWatch) -> SpikeWatch:
    """What a restart makes of it: another watch that reads what this one has stored."""
    other = watch_of()
    other.roster.names.extend(watch.roster.names.texts)
    documents = {key: text for key, text in watch.documents().items() if text is not None}
    other.restore(watch.roster.rows.copy(), watch.roster.running.copy(), documents)
    other.buckets.table.put(*watch.buckets.table.all())
    other.pair_calls.put(*watch.pair_calls.all())
    other.next, other.quiet = watch.next, watch.quiet
    return other


@pytest.mark.parametrize("team", INCIDENTS)
def test_an_incident_is_found_within_half_an_hour_and_explained(story: Story, team: int) -> None:
    alerts = [alert for alert in story.alerts if alert.scope.team == f"team-{team}"]
    firing, exact = alerts[0], [alert for alert in alerts if alert.state == "updated"][-1]
    noticed = int(firing.window.end.timestamp()) // 300 - START
    assert WORKDAY < noticed <= WORKDAY + 7
    assert firing.state == "firing"
    assert exact.explanation[0].factor in INCIDENTS[team][2]
    assert sum(cause.delta for cause in exact.explanation) == exact.observed - (exact.expected or 0)
    assert sum(cause.share for cause in exact.explanation) == pytest.approx(1.0)
    states = [alert.state for alert in alerts if alert.alert_id == firing.alert_id]
    assert states[-1] == "resolved"
    assert [alert.revision for alert in alerts if alert.alert_id == firing.alert_id] == list(range(len(states)))
    assert alerts[-1].window.end.timestamp() // 300 - START <= WORKDAY + 48 + 6


def test_quiet_weeks_are_quiet(story: Story) -> None:
    """Twelve teams for three weeks, and the eight of the story that have no incident: at most two false pages."""
    quiet = simulate(21, 21)
    pages = [alert for alert in feed(watch_of(), quiet, 0, 21 * DAY) if alert.state == "firing"]
    pages += [one for one in story.alerts if one.state == "firing" and int((one.scope.team or "")[5:]) not in INCIDENTS]
    assert len(pages) <= 2, [alert.summary for alert in pages]


def test_any_batching_tells_the_same(story: Story) -> None:
    rng = np.random.default_rng(0)
    watch, alerts, at = copy_of(story.before), [], WORKDAY - 24
    while at < story.month.days * DAY:
        step = int(rng.integers(1, 40))
        alerts += feed(watch, story.month, at, min(at + step, story.month.days * DAY))
        at += step
    # Within one bucket, what a batch tells of one series may come before or after what it tells of another.
    assert by_series(alerts) == by_series(story.alerts)


def by_series(alerts: Sequence[Alert]) -> list[dict[str, object]]:
    return sorted(told(alerts), key=lambda one: (str(one["alert_id"]), str(one["revision"]).zfill(4)))


def test_a_restart_in_the_middle_of_an_episode_changes_nothing(story: Story) -> None:
    first = copy_of(story.before)
    alerts = feed(first, story.month, WORKDAY - 24, WORKDAY + 20)
    assert first.book.running
    alerts += feed(copy_of(first), story.month, WORKDAY + 20, story.month.days * DAY)
    assert by_series(alerts) == by_series(story.alerts)


def test_late_rows_of_closed_buckets_are_not_judged(story: Story) -> None:
    watch = copy_of(story.before)
    late = np.array([[10_000, 0, 10**9, 0, 0, 10**13]] * 12)
    keys = bucket_keys(np.zeros(12, int), np.zeros(12, int), START + WORKDAY - 48 + np.arange(12))
    watch.buckets.table.add(*group(keys, late))
    alerts = feed(watch, story.month, WORKDAY - 24, WORKDAY)
    assert [alert for alert in alerts if alert.scope.team == "team-0"] == []


def test_years_of_nothing_are_passed_over() -> None:
    month = simulate(3, 5)
    watch = watch_of()
    feed(watch, month, 0, 5 * DAY)
    end_us = (START + 3 * 365 * DAY) * BUCKET_US
    moment = Moment(end_us, end_us, end_us)
    assert watch.settle(Timeline((moment,), moment), NOTHING, end_us) == []
    assert watch.next == START + 3 * 365 * DAY


def test_free_tokenless_and_new_use_make_no_nonsense() -> None:
    """A team without cost or tokens, and one that begins later, with numpy's warnings as errors."""
    rng = np.random.default_rng(1)
    buckets = np.repeat(np.arange(8 * DAY), 2)
    team = np.tile([0, 1], 8 * DAY)
    calls = rng.poisson(5, len(buckets))
    none = calls * 0
    free = np.stack([calls, none, calls * 900, none, calls * 100, none], axis=1)
    tokenless = np.stack([calls, none, none, none, none, calls * 10**8], axis=1)
    sums = np.where((team == 0)[:, None], free, tokenless)
    sums[(team == 1) & (buckets < 2 * DAY)] = 0
    sums[(team == 1) & (buckets >= 7 * DAY)] *= 10
    month = Month(8, buckets + START, team, np.zeros(len(team), int), sums.astype(np.int64))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        alerts = feed(watch_of(2), month, 0, 8 * DAY)
    assert {alert.scope.team for alert in alerts} == {"team-1"}
    assert alerts[0].explanation[0].factor == "calls"

"""The detector on simulated months: incidents found soon and explained, quiet months quiet, any batching the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from streams.agents.names import Names
from streams.agents.spikes.buckets import BUCKET_US, CLASS_LIMIT, TEAM_LIMIT, bucket_keys
from streams.agents.spikes.policy import SpikePolicy
from streams.agents.spikes.watch import SpikeWatch
from streams.agents.sums import group
from streams.agents.verdicts import Timeline
from streams.agents.watermarks import Moment
from tests.streams.agents.usage_simulation import DAY, START, TEAMS, Incident, Kind, Month, simulate

NOTHING = ControlSnapshot()
#: From ten in the morning of a Thursday in the second week.
WORKDAY = 10 * DAY + 10 * 12


def watch_of(teams: int = TEAMS, policy: SpikePolicy | None = None) -> SpikeWatch:
    names, classes = Names(TEAM_LIMIT), Names(CLASS_LIMIT)
    for number in range(teams):
        names.number(f"team-{number}")
    for name in ("small", "standard", "frontier"):
        classes.number(name)
    return SpikeWatch(policy or SpikePolicy(), names, classes, 2 * 86_400 * 1_000_000)


def feed(watch: SpikeWatch, month: Month, first: int, limit: int) -> list[Alert]:
    """Give the buckets [first, limit) of the month and let the watermark pass them."""
    rows = (month.bucket >= START + first) & (month.bucket < START + limit)
    keys = bucket_keys(month.team[rows], month.model_class[rows], month.bucket[rows])
    watch.buckets.table.add(*group(keys, month.sums[rows]))
    end_us = (START + limit) * BUCKET_US
    moment = Moment(end_us, end_us, end_us)
    return watch.settle(Timeline((moment,), moment), NOTHING, end_us)


def whole(month: Month) -> list[Alert]:
    return feed(watch_of(), month, 0, month.days * DAY)


def told(alerts: Sequence[Alert]) -> list[dict[str, object]]:
    return [alert.model_dump(exclude={"evaluated_at", "historical"}) for alert in alerts]


#: Kind, factor, and the leading causes that tell people the right thing.
INCIDENTS: tuple[tuple[Kind, float, tuple[str, ...]], ...] = (
    ("calls", 8.0, ("calls",)),
    ("tokens", 6.0, ("tokens_per_call",)),
    ("price", 6.0, ("price_per_token", "model_mix")),
    ("cache", 1.0, ("cache_share",)),
)


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize(("kind", "factor", "causes"), INCIDENTS)
def test_an_incident_is_found_within_half_an_hour_and_explained(
    kind: Kind, factor: float, causes: tuple[str, ...], seed: int
) -> None:
    month = simulate(seed, 12, [Incident(kind, 4, WORKDAY, 48, factor)])
    alerts = [alert for alert in whole(month) if alert.scope.team == "team-4"]
    firing = next(alert for alert in alerts if alert.state == "firing")
    noticed = int(firing.window.end.timestamp()) // 300 - START
    assert WORKDAY < noticed <= WORKDAY + 7
    assert firing.severity == "critical"
    assert firing.pages is not firing.historical
    assert firing.explanation[0].factor in causes
    assert sum(cause.delta for cause in firing.explanation) == firing.observed - (firing.expected or 0)
    assert sum(cause.share for cause in firing.explanation) == pytest.approx(1.0)
    states = [alert.state for alert in alerts if alert.alert_id == firing.alert_id]
    assert states[0] == "firing"
    assert states[-1] == "resolved"
    assert [alert.revision for alert in alerts if alert.alert_id == firing.alert_id] == list(range(len(states)))
    assert alerts[-1].window.end.timestamp() // 300 - START <= WORKDAY + 48 + 6


def test_quiet_months_are_quiet() -> None:
    """Twelve teams, 27 judged days each: at most one false page a month."""
    pages = [alert for seed in (21, 22) for alert in whole(simulate(seed, 30)) if alert.state == "firing"]
    assert len(pages) <= 2, [alert.summary for alert in pages]


def test_any_batching_tells_the_same() -> None:
    month = simulate(3, 12, [Incident("calls", 4, WORKDAY, 48, 8.0)])
    expected = whole(month)
    assert expected
    rng = np.random.default_rng(0)
    watch, alerts, at = watch_of(), [], 0
    while at < month.days * DAY:
        step = int(rng.integers(1, 200))
        alerts += feed(watch, month, at, min(at + step, month.days * DAY))
        at += step
    assert told(alerts) == told(expected)


def test_a_restart_in_the_middle_of_an_episode_changes_nothing() -> None:
    month = simulate(3, 12, [Incident("calls", 4, WORKDAY, 48, 8.0)])
    expected = whole(month)
    before, after = watch_of(), watch_of()
    alerts = feed(before, month, 0, WORKDAY + 20)
    assert before.episodes
    documents = {key: text for key, text in before.documents().items() if text is not None}
    after.restore(before.rows.copy(), documents)
    after.next, after.quiet = before.next, before.quiet
    alerts += feed(after, month, WORKDAY + 20, month.days * DAY)
    assert told(alerts) == told(expected)


def test_late_rows_of_closed_buckets_are_not_judged() -> None:
    month = simulate(3, 12)
    watch = watch_of()
    feed(watch, month, 0, 11 * DAY)
    late = np.array([[10_000, 10**9, 10**13, 10**9, 0]] * 12)
    keys = bucket_keys(np.zeros(12, int), np.zeros(12, int), START + WORKDAY + np.arange(12))
    watch.buckets.table.add(*group(keys, late))
    assert [alert for alert in feed(watch, month, 11 * DAY, 12 * DAY) if alert.scope.team == "team-0"] == []


def test_what_lasts_a_day_becomes_the_new_usual() -> None:
    month = simulate(5, 16, [Incident("calls", 4, WORKDAY, 6 * DAY, 8.0)])
    alerts = [alert for alert in whole(month) if alert.scope.team == "team-4"]
    adopted = [alert for alert in alerts if "new usual" in alert.summary]
    assert len(adopted) == 1
    later = [alert for alert in alerts if alert.occurred_at > adopted[0].window.end and alert.state == "firing"]
    assert len(later) <= 1


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
    free = np.stack([calls, calls * 1_000, calls * 0, calls * 900, calls * 0], axis=1)
    tokenless = np.stack([calls, calls * 0, calls * 10**8, calls * 0, calls * 0], axis=1)
    sums = np.where((team == 0)[:, None], free, tokenless)
    sums[(team == 1) & (buckets < 2 * DAY)] = 0
    sums[(team == 1) & (buckets >= 7 * DAY)] *= 10
    month = Month(8, buckets + START, team, np.zeros(len(team), int), sums.astype(np.int64))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        alerts = feed(watch_of(2), month, 0, 8 * DAY)
    assert {alert.scope.team for alert in alerts} == {"team-1"}
    assert alerts[0].explanation[0].factor == "calls"

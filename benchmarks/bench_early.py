"""In: 20,000 events/s of simulated use, and runaways of several sizes in it. Out: seconds of event time from the start
of each to its alert.

`python -m benchmarks.bench_early [--events 20000] [--teams 200] [--json]`. A real shard of the agents learns a week of
five-minute sums, then takes a message every 250 ms, as it does beside a busy enrich, and settles each. A runaway
adds so many times what its use case usually costs, at a second of its own. Tallies tell minutes, so it has no better
clock than that; what it does have is every sum as soon as it is sent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.spikes.clock import START_MINUTE
from benchmarks.spikes.ours import cells, names
from benchmarks.spikes.traffic import Prices, Stretches, draw_whose
from schemas.alerts import Alert
from schemas.control.snapshot import ControlSnapshot
from schemas.positions import Mark, SourceRange
from streams.agents.config import AgentsConfig
from streams.agents.shard import Counts, Shard
from streams.agents.tally_message import TallyMessage

TIMES: Final = (2, 4, 8, 16, 32, 64)
_STEP_US: Final = 250_000
_LIVE_MINUTES: Final = 14
_WATERMARK_US: Final = 120_000_000
_LEARNT_DAYS: Final = 7
#: Runaways of each size.
_EACH: Final = 6


@dataclass(frozen=True, slots=True)
class Runaway:
    """`start_us` from the beginning of the live part."""

    team: int
    times: int
    start_us: int


class Use:
    """Services of teams, steady but for day and night: one use case a team, `events` a second in all."""

    def __init__(self, teams: int, events: int, random: np.random.Generator) -> None:
        self.random, self.teams = random, teams
        self.share = random.dirichlet(np.full(teams, 0.8)) + 0.1 / teams
        self.events = events / self.share.sum()
        self.input, self.output = random.lognormal(8, 0.6, teams), random.lognormal(6, 0.4, teams)
        self.classes = np.eye(5)[random.integers(0, 4, teams)]
        self.cached = random.uniform(0, 0.6, teams)

    def rows(self, minute: int, seconds: float, extra: np.ndarray) -> pa.Table:
        """What comes within so many seconds of that minute, `extra`[teams] times the usual on top."""
        day = 1 + 0.4 * np.sin((minute % 1_440) / 1_440 * 2 * np.pi)
        wobble = self.random.normal(1, 0.05, self.teams)
        given = Stretches(
            minute=np.full(self.teams, minute),
            length=np.ones(self.teams, dtype=np.int64),
            calls=self.share * self.events * seconds * (day * wobble + extra),
            input=self.input,
            output=self.output,
            cached=self.cached,
            classes=self.classes,
            free_errors=np.full(self.teams, 0.01),
            billed_errors=np.zeros(self.teams),
            spread=1.0,
        )
        own, made = draw_whose(given, Prices(()), self.random, scatter=False)
        team = names([f"team-{number:03}" for number in range(self.teams)], own.astype(np.int32))
        return cells(team, pa.array(["assistant"] * len(own)), made, np.zeros(len(own), dtype=bool))


def main() -> int:
    options = _options()
    random = np.random.default_rng(7)
    use, shard, control = Use(options.teams, options.events, random), Shard(0, Counts(1, 1), AgentsConfig()), _NOTHING
    none = np.zeros(options.teams)
    learnt = START_MINUTE + _LEARNT_DAYS * 1_440
    number = 0
    for minute in range(START_MINUTE, learnt, 30):
        half_hour = pa.concat_tables(use.rows(at, 300, none) for at in range(minute, minute + 30, 5))
        _settle(shard, control, number, half_hour, (minute + 30) * 60_000_000)
        number += 1
    print("learnt", file=sys.stderr, flush=True)
    runaways = _runaways(options.teams, random)
    told: dict[int, int] = {}
    false = 0
    walls: list[float] = []
    for step_us in range(0, _LIVE_MINUTES * 60_000_000, _STEP_US):
        now_us = learnt * 60_000_000 + step_us
        extra = none.copy()
        for one in runaways:
            extra[one.team] = one.times * np.clip((step_us + _STEP_US - one.start_us) / _STEP_US, 0, 1)
        rows = use.rows(now_us // 60_000_000, _STEP_US / 1e6, extra)
        begun = time.perf_counter()
        alerts = _settle(shard, control, number, rows, now_us + _STEP_US)
        walls.append(time.perf_counter() - begun)
        number += 1
        for alert in alerts:
            team = int((alert.scope.team or "-1")[-3:])
            if alert.state == "firing":
                false += all(one.team != team or one.start_us > step_us for one in runaways)
                told.setdefault(team, step_us + _STEP_US)
    return _print(options, runaways, told, false, np.array(walls))


_NOTHING: Final = ControlSnapshot()


def _settle(shard: Shard, control: ControlSnapshot, number: int, rows: pa.Table, now_us: int) -> list[Alert]:
    mark = Mark("range", now_us - _WATERMARK_US, now_us, now_us, 0)
    if shard.offer(TallyMessage(number, SourceRange(0, number, number + 1), mark, rows)) != "applied":
        raise RuntimeError(f"message {number} was not applied")
    settled = shard.settle(now_us, control)
    return [alert for alert in settled.alerts if alert.kind == "spike"] if settled else []


def _runaways(teams: int, random: np.random.Generator) -> list[Runaway]:
    """Each in a team of its own, at any moment of minutes 1 to 6: early, midway and late in a bucket."""
    owners = random.permutation(teams)[: _EACH * len(TIMES)]
    return [
        Runaway(int(team), TIMES[at % len(TIMES)], int(random.integers(60_000_000, 6 * 60_000_000)))
        for at, team in enumerate(owners)
    ]


def _print(
    options: argparse.Namespace, runaways: list[Runaway], told: dict[int, int], false: int, walls: np.ndarray
) -> int:
    found: dict[str, dict[str, float | None]] = {}
    for times in TIMES:
        mine = [one for one in runaways if one.times == times]
        waits = sorted((told[one.team] - one.start_us) / 1e6 for one in mine if one.team in told)
        found[f"{times} times the usual on top"] = {
            "runaways": float(len(mine)),
            "told": float(len(waits)),
            "median_s": float(np.median(waits)) if waits else None,
            "longest_s": waits[-1] if waits else None,
        }
    speed = {"settle_ms_median": float(np.median(walls)) * 1e3, "settle_ms_p99": float(np.quantile(walls, 0.99)) * 1e3}
    if options.json:
        print(json.dumps({"seconds_from_start_to_alert": found, "false": false, **speed}, indent=2))
        return 0
    print(f"{options.events} events/s, {options.teams} teams, a message every 250 ms: seconds from start to alert")
    print(f"{'':30}{'n':>4}{'told':>6}{'median':>9}{'longest':>9}")
    for name, row in found.items():
        median, longest = (
            f"{row[key]:9.1f}" if row[key] is not None else f"{'-':>9}" for key in ("median_s", "longest_s")
        )
        print(f"{name:30}{row['runaways']:4.0f}{row['told']:6.0f}{median}{longest}")
    print(
        f"false alerts {false}; one settlement {speed['settle_ms_median']:.1f} ms, p99 {speed['settle_ms_p99']:.1f} ms"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="events per second, of all teams together")
    parser.add_argument("--teams", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.teams < _EACH * len(TIMES):
        parser.error(f"--teams {options.teams}: give {_EACH * len(TIMES)} or more, one for each runaway")
    return options


if __name__ == "__main__":
    sys.exit(main())

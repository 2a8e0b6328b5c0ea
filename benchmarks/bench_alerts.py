"""In: nothing. Out: seconds until an alert can be read, of budgets that are crossed and of runaways, under paced load.

    python -m benchmarks.bench_alerts                  20,000 events/s for three minutes, after three days replayed
    python -m benchmarks.bench_alerts --seconds 900    and spikes that are not plain within a bucket

Apache Kafka, enrich and agents are processes of their own; this process produces, 200 events to a message at most, and
reads `governance.alerts` as any subscriber does. A crossing counts from the moment its event is handed to the producer,
a runaway from its start. Event time is wall-clock time, but for the days before, which teach what is usual.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.alerts.counters import machine, settled
from benchmarks.alerts.listener import Heard, Listener
from benchmarks.alerts.plants import Crossing, Runaway, crossings, runaways, usual_budgets
from benchmarks.alerts.report import Outcome, Waits, as_text, put_section, waits
from benchmarks.alerts.traffic import Traffic, team_name
from benchmarks.bench_roles import cpu_seconds, metric
from schemas.control.budgets import Budget
from sources.bulk import BulkProducer
from streamgauge.embedded.child import LOOPBACK
from streamgauge.local.process import RoleProcess
from tests.support.house import TestHouse, wait_for
from tests.support.kafka import ApacheKafka

#: What is usual, is learnt from the fourth day on; the rest is for the bounds that are fixed an hour before.
WARM_UP_HOURS: Final = 80
HOUR_US: Final = 3_600_000_000
TICK_S: Final = 0.1
BATCH: Final = 200
#: Enrich holds the watermark back by its lateness of 120 s; the rest is for partitions that had no event just now.
BEHIND_US: Final = 180_000_000
DEADLINE_S: Final = 900.0
#: Sizes that are not plain within a bucket; they need this much of a live part.
SLOW: Final = (3,)
SLOW_S: Final = 840.0


@dataclass(frozen=True, slots=True)
class _Live:
    """What the live part did: when it began (µs), when each crossing was produced (s), and what it took."""

    began_us: int
    ended_us: int
    produced: dict[str, float]
    events: int
    longest_tick_s: float
    cpu: dict[str, float]
    busy: float
    behind: int
    tallies_per_s: float
    settle_ms: float


def _warm_up(house: TestHouse, traffic: Traffic, producer: BulkProducer) -> int:
    """Replay the days before, up to now, and wait until the agents have judged them. Returns up to when, in µs."""
    until = time.time_ns() // 1_000
    begin = until - WARM_UP_HOURS * HOUR_US
    began = time.monotonic()
    for start in range(begin, until, 2 * HOUR_US):
        producer.send(traffic.table([traffic.usual(start, min(until, start + 2 * HOUR_US))]))
    producer.flush()
    print(
        f"  {producer.sent:,} events of {WARM_UP_HOURS} hours produced: {time.monotonic() - began:.0f} s",
        file=sys.stderr,
    )
    agents, shards = house.roles["agents"], house.topics.tally_partitions
    wait_for(lambda: _is_through(house, agents, shards, until - BEHIND_US), DEADLINE_S, "the agents to learn the usual")
    print(f"  learnt by the agents: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return until


def _is_through(house: TestHouse, agents: RoleProcess, shards: int, until_us: int) -> bool:
    for role in house.roles.values():
        if not role.alive:
            raise SystemExit(f"{role.name} ended by itself:\n{role.log_tail(20)}")
    time.sleep(0.5)
    with urllib.request.urlopen(f"http://{LOOPBACK}:{agents.port}/metrics", timeout=10) as answer:
        found = re.findall(r"^streamgauge_agents_watermark_seconds\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE)
    return len(found) == shards and min(map(float, found)) * 1e6 >= until_us


def _live(
    house: TestHouse,
    kafka: ApacheKafka,
    traffic: Traffic,
    producer: BulkProducer,
    planted: Sequence[Crossing],
    running: Sequence[Runaway],
    from_us: int,
    options: argparse.Namespace,
) -> _Live:
    """Produce in real time. A tick that comes late sends what was due meanwhile, so the pace holds on the whole."""
    processes = {name: role.pid for name, role in house.roles.items()} | {
        "Kafka": kafka.pid,
        "this producer": os.getpid(),
    }
    cpu = {name: cpu_seconds(pid) for name, pid in processes.items()}
    counted = settled(house.roles["agents"])
    before, sent, longest = machine(), producer.sent, 0.0
    produced: dict[str, float] = {}
    live_us = last_us = time.time_ns() // 1_000
    surges = [one.surge(live_us, options.calls) for one in running]
    waiting = sorted(planted, key=lambda one: one.at_s)
    said_s, end_us = 0, live_us + round(options.seconds * 1e6)
    while last_us < end_us:
        time.sleep(max(0.0, last_us / 1e6 + TICK_S - time.time()))
        now_us = time.time_ns() // 1_000
        longest = max(longest, (now_us - last_us) / 1e6)
        own = traffic.usual(from_us, now_us)
        more = traffic.surges(surges, last_us, now_us)
        load = traffic.load(last_us, now_us, round(traffic.load_per_s * (now_us - last_us) / 1e6))
        due = [one for one in waiting if live_us + one.at_s * 1e6 <= now_us]
        table = traffic.table([own, more, load, *(one.rows(now_us) for one in due)])
        produced |= dict.fromkeys((one.budget for one in due), time.time())
        producer.send(table)
        waiting = waiting[len(due) :]
        from_us = last_us = now_us
        if (now_us - live_us) / 1e6 >= said_s + 30:
            said_s += 30
            print(f"  {said_s} s live, {producer.sent - sent:,} events, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    wall, after = (last_us - live_us) / 1e6, machine()
    used = {name: (cpu_seconds(pid) - cpu[name]) / wall for name, pid in processes.items()}
    behind = round(metric(house.roles["enrich"], "streamgauge_enrich_lag_messages"))
    busy = (after[0] - before[0]) / (after[1] - before[1])
    tallies, settled_s, settlements = (
        now - then for now, then in zip(settled(house.roles["agents"]), counted, strict=True)
    )
    return _Live(
        live_us,
        last_us,
        produced,
        producer.sent - sent,
        longest,
        used,
        busy,
        behind,
        tallies / wall,
        settled_s / max(settlements, 1) * 1_000,
    )


def measure(kafka: ApacheKafka, options: argparse.Namespace) -> Outcome:
    """1 the house and its budgets, 2 the days before, 3 the live part, 4 what was heard of it."""
    traffic = Traffic(options.watched, options.teams - options.watched, options.calls, options.rate)
    planted, budgets = crossings(traffic, options.seconds, options.crossings)
    slow = SLOW if options.seconds >= SLOW_S else ()
    running = runaways(options.times, slow, options.each, options.seconds)
    with ExitStack() as stack:
        house = _house(stack, kafka, [*budgets, *usual_budgets(options.teams)], options.poll_ms)
        listener = stack.enter_context(Listener(house.connection, house.topics.alerts))
        producer = stack.enter_context(BulkProducer(house.connection, house.topics.events, batch=BATCH))
        until = _warm_up(house, traffic, producer)
        live = _live(house, kafka, traffic, producer, planted, running, until, options)
        hard = {one.budget for one in planted}
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not hard <= {one.alert.budget_id for one in _crossed(listener.heard)}:
            time.sleep(0.1)
        heard = list(listener.heard)
    return _outcome(options, running, slow, live, heard)


def _house(stack: ExitStack, kafka: ApacheKafka, budgets: Sequence[Budget], poll_ms: int | None) -> TestHouse:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    house = stack.enter_context(
        TestHouse(
            kafka.bootstrap,
            folder,
            f"bench{random.randrange(10**9)}.",
            roles=("agents", "enrich"),
            partitions=(12, 16),
            # No ledger is written here that could be asked for the past.
            environment={
                "STREAMGAUGE_AGENTS__HISTORY": "false",
                "STREAMGAUGE_AGENTS__REVIEWS__ENABLED": "false",
                **({} if poll_ms is None else {"STREAMGAUGE_ENRICH__POLL_MS": str(poll_ms)}),
            },
        )
    )
    house.apply(*budgets)
    house.start()
    return house


def _crossed(heard: Sequence[Heard]) -> list[Heard]:
    return [one for one in heard if one.alert.kind == "budget" and one.alert.level == "hard" and _fires(one)]


def _fires(one: Heard) -> bool:
    return one.alert.state == "firing" and not one.alert.historical


def _outcome(
    options: argparse.Namespace,
    running: Sequence[Runaway],
    slow: Sequence[int],
    live: _Live,
    heard: Sequence[Heard],
) -> Outcome:
    """Hold what was heard against what was planted; a spike of a team that does not run away by then is false."""
    budget: dict[str, Heard] = {}
    for one in _crossed(heard):
        budget.setdefault(one.alert.budget_id or "", one)
    began = {team_name(one.team): live.began_us / 1e6 + one.at_s for one in running}
    spikes: dict[str, float] = {}
    false = 0
    for one in heard:
        if one.alert.kind != "spike" or not _fires(one):
            continue
        team = one.alert.scope.team or ""
        if one.at < began.get(team, float("inf")):
            false += 1
        else:
            spikes.setdefault(team, one.at)
    told = {name: budget[name] for name in live.produced if name in budget}
    judged = [one.alert.evaluated_at.timestamp() - live.produced[name] for name, one in told.items()]
    crossed = [one.at - live.produced[name] for name, one in told.items()]
    rows: list[Waits] = [
        waits("budget crossed, event produced → alert readable", len(live.produced), 1.0, crossed),
        waits("… of which until the agents judge it", len(live.produced), None, judged),
    ]
    for size in (*options.times, *slow):
        mine = [team_name(one.team) for one in running if one.times == size]
        what = f"runaway at {size} times the usual, start → alert readable"
        found = [spikes[team] - began[team] for team in mine if team in spikes]
        rows.append(waits(what, len(mine), 600.0 if size in slow else 60.0, found))
    seconds = (live.ended_us - live.began_us) / 1e6
    return Outcome(
        rows=rows,
        false_alerts=false,
        events_per_s=live.events / seconds,
        seconds=seconds,
        teams=options.teams,
        watched=options.watched,
        longest_tick_s=live.longest_tick_s,
        cpu=live.cpu,
        machine_busy=live.busy,
        load_average=os.getloadavg()[0],
        messages_behind=live.behind,
        tallies_per_s=live.tallies_per_s,
        settle_ms=live.settle_ms,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    )


def main() -> int:
    options = _options()
    with ApacheKafka() as kafka:
        outcome = measure(kafka, options)
    text = as_text(outcome, f"python -m benchmarks.bench_alerts {' '.join(sys.argv[1:])}".strip())
    if options.write:
        put_section(options.write, text)
    print(json.dumps(asdict(outcome), indent=2) if options.json else text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=20_000.0, help="events per second of the live part, all teams")
    parser.add_argument("--seconds", type=float, default=180.0, help="of the live part, 120 at least")
    parser.add_argument("--teams", type=int, default=100, help="all teams")
    parser.add_argument("--watched", type=int, default=40, help="of them, teams whose usual is learnt first")
    parser.add_argument("--calls", type=float, default=0.1, help="calls per second that a watched team usually makes")
    parser.add_argument("--times", type=int, nargs="+", default=[20, 50, 100], help="sizes of runaways")
    parser.add_argument("--each", type=int, default=10, help="runaways of each size")
    parser.add_argument("--crossings", type=int, default=100, help="budgets that are crossed")
    parser.add_argument("--poll-ms", type=int, help="enrich.poll_ms; its default if not given")
    parser.add_argument("--write", type=Path, help="put the table into this file, in place of the one before")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    needed = options.each * (len(options.times) + (len(SLOW) if options.seconds >= SLOW_S else 0))
    if options.seconds < 120:
        parser.error(f"--seconds {options.seconds:g}: 120 at least, or no runaway has time to be seen")
    if needed > options.watched or options.watched >= options.teams:
        parser.error(f"--watched {options.watched}: {needed} at least, one a runaway, and less than --teams")
    return options


if __name__ == "__main__":
    sys.exit(main())

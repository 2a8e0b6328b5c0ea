"""How long `streamgauge check serve` takes to answer, alone and while the pipeline runs full on the same machine.

python -m benchmarks.bench_check --teams 1000 --rate 200 --seconds 20

An open-loop client: questions are sent when they are due, whether earlier ones were answered or not, and an answer's
time counts from when its question was due. So a process that stands still for a moment is charged for every question of
that moment. The client is on the same machine, and its own wait for a processor is in the figures too: beside the check
it asks, at the same rate and in the same seconds, a process that answers without any work (`checks/echo.py`). That row
is what the machine itself takes.

Two phases: the roles have nothing to do; then they take in a backlog of events as fast as they can. Every question
names another team; each team has five budgets of its own, and two count everybody. With `--apart` check, echo and
client have a scheduling group of their own, as a container has: Linux then shares processors between groups, not
processes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks import bench_roles
from benchmarks.bench_roles import broker, cpu_seconds, events, send
from benchmarks.checks.client import drive
from schemas.control.budgets import Budget, Scope
from schemas.control.models import CatalogueModel
from schemas.control.policies import Choice, Policy, When
from schemas.control.records import ControlRecord
from streamgauge.checking.promptness import be_prompt
from streamgauge.embedded.broker import pick_port
from streamgauge.embedded.child import LOOPBACK, spawn_child, stop_child
from tests.support.house import TestHouse, wait_for

GOAL_MS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A process that is asked: the check, or the echo."""

    name: str
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one phase, in milliseconds. `inside_cpu_ms`: processor time of who answers for one question, all it does."""

    phase: str
    who: str
    questions: int
    rate: float
    p50: float
    p90: float
    p99: float
    p999: float
    worst: float
    inside_cpu_ms: float
    machine_busy: float
    events_per_s: float


def documents(teams: int) -> list[ControlRecord]:
    """Five budgets a team, two for everybody, a small catalogue and three policies."""
    mine: list[ControlRecord] = []
    for n in range(teams):
        scopes = (Scope(team=f"team-{n}"), Scope(team=f"team-{n}", stage="production"))
        mine += [
            Budget(id=f"team-{n}-{period}-{at}", scope=scope, limit=Decimal(10**7), period=period, mode="enforce")
            for at, scope in enumerate(scopes)
            for period in ("day", "month")
        ]
        mine.append(Budget(id=f"team-{n}-calls", scope=scopes[0], unit="calls", limit=Decimal(10**9), period="day"))
    for period in ("day", "month"):
        mine.append(Budget(id=f"all-{period}", limit=Decimal(10**9), period=period))
    mine += [CatalogueModel(id=f"{name}-*", model_class=name) for name in ("gpt", "claude", "gemini")]
    mine += [
        Policy(
            id=f"policy-{n}",
            when=When(team=tuple(f"team-{n * 10 + k}" for k in range(10))),
            discourage=Choice(models=("old-*",)),
            owner="Ada",
            reason="a benchmark",
        )
        for n in range(3)
    ]
    return mine


def machine_cpu() -> tuple[float, float]:
    """(busy, all) processor time of the machine so far, in ticks."""
    values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return float(sum(values) - values[3] - values[4]), float(sum(values))


def phase(name: str, asked: Sequence[_Asked], arguments: argparse.Namespace, house: TestHouse) -> list[Latency]:
    before, cpu = machine_cpu(), [cpu_seconds(one.pid) for one in asked]
    taken = bench_roles.metric(house.roles["enrich"], "streamgauge_enrich_events_total")
    began = time.monotonic()
    times = asyncio.run(drive([one.port for one in asked], arguments.rate, arguments.seconds, arguments.teams))
    wall = time.monotonic() - began
    after = machine_cpu()
    events_taken = bench_roles.metric(house.roles["enrich"], "streamgauge_enrich_events_total") - taken
    found: list[Latency] = []
    for one, own, cpu_before in zip(asked, times, cpu, strict=True):
        p50, p90, p99, p999, worst = (float(one) * 1_000 for one in np.quantile(own, [0.5, 0.9, 0.99, 0.999, 1.0]))
        found.append(
            Latency(
                name,
                one.name,
                len(own),
                len(own) / wall,
                p50,
                p90,
                p99,
                p999,
                worst,
                (cpu_seconds(one.pid) - cpu_before) * 1_000 / len(own),
                (after[0] - before[0]) / (after[1] - before[1]),
                events_taken / wall,
            )
        )
    return found


def full(
    name: str, asked: Sequence[_Asked], arguments: argparse.Namespace, house: TestHouse, load: Iterator[pa.Table]
) -> list[Latency]:
    """A phase that begins with a backlog for enrich."""
    enrich = house.roles["enrich"]
    os.kill(enrich.pid, signal.SIGSTOP)
    send(house, load, arguments.events, 200)
    os.kill(enrich.pid, signal.SIGCONT)
    measured = phase(name, asked, arguments, house)
    if bench_roles.metric(enrich, "streamgauge_enrich_lag_messages") == 0:
        print("the backlog did not last for the whole phase: raise --events", file=sys.stderr)
    return measured


def measure(bootstrap: str, arguments: argparse.Namespace) -> list[Latency]:
    """1. the house with its documents; 2. check and echo, ready; 3. the quiet phase; 4. a backlog and the full one."""
    sessions = {"STREAMGAUGE_KAFKA__SESSION_TIMEOUT_MS": str(bench_roles.SESSION_MS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        TestHouse(
            bootstrap, Path(folder), f"bench{random.randrange(10**9)}.", partitions=(12, 16), environment=sessions
        ) as house,
    ):
        house.apply(*documents(arguments.teams))
        house.start()
        load = events(bench_roles.WARM_UP + arguments.events)
        send(house, load, bench_roles.WARM_UP, 200)
        if arguments.apart:
            # What is started from here on, this process too, is of another session and so of another group.
            os.setsid()
        # As prompt as what it asks: else the figures would be mostly its own.
        be_prompt()
        port, probe, echo_port = pick_port(), pick_port(), pick_port()
        more = {"STREAMGAUGE_CHECK__PORT": str(port), "STREAMGAUGE_HTTP__PORT": str(probe)}
        more |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "STREAMGAUGE_LOGS__LEVEL": "WARNING"}
        environment = house.environment() | more
        argv = [sys.executable, "-m", "streamgauge", "check", "serve"]
        check = spawn_child(argv, log_path=Path(folder) / "check.log", env=environment)
        argv = [sys.executable, "-m", "benchmarks.checks.echo", str(echo_port)]
        echo = spawn_child(argv, log_path=Path(folder) / "echo.log", env=environment)
        try:
            wait_for(lambda: _statuses(probe) >= 5 * arguments.teams, 120, "a status of every budget")
            asked = (_Asked("check", check.pid, port), _Asked("echo", echo.pid, echo_port))
            asyncio.run(drive([port, echo_port], arguments.rate, 2.0, arguments.teams))
            results = phase("at rest", asked, arguments, house)
            return [*results, *full("at saturation", asked, arguments, house, load)]
        finally:
            stop_child(check, grace_s=10)
            stop_child(echo, grace_s=10)


def _statuses(probe: int) -> float:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{probe}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return -1.0
    found = (line.split()[1] for line in text.splitlines() if line.startswith("streamgauge_check_statuses "))
    return float(next(found, "-1"))


def report(results: Sequence[Latency], where: str, arguments: argparse.Namespace) -> str:
    columns = (
        "pipeline",
        "who answers",
        "asked/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99.9 ms",
        "worst ms",
        "CPU ms each",
        "busy",
        "events/s",
    )
    told = f"{arguments.teams:,} teams, {5 * arguments.teams + 2:,} budgets, {os.cpu_count()} cores, "
    told += f"Python {platform.python_version()}; broker: {where}; ClickHouse, all roles and this client beside them."
    lines = [
        told,
        "",
        f"| {' | '.join(columns)} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {one.phase} | {one.who} | {one.rate:,.0f} | {one.p50:.2f} | {one.p90:.2f} | {one.p99:.2f} | "
            f"{one.p999:.2f} | {one.worst:.1f} | {one.inside_cpu_ms:.2f} | {one.machine_busy:.0%} | "
            f"{one.events_per_s:,.0f} |"
            for one in results
        ),
    ]
    lines.append("")
    for one, floor in zip(results[::2], results[1::2], strict=True):
        held = "holds" if one.p99 <= GOAL_MS else "does NOT hold here"
        told = f"Pipeline {one.phase}: p99 ≤ {GOAL_MS:.0f} ms {held} ({one.p99:.2f} ms)"
        lines.append(f"{told}; an answer without any work takes {floor.p99:.2f} ms beside it.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teams", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=200.0, help="questions a second")
    parser.add_argument("--events", type=int, default=2_000_000, help="backlog of the full phase")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--apart", action="store_true", help="a scheduling group for check and client (setsid)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with broker() as (bootstrap, where):
        results = measure(bootstrap, arguments)
    print(json.dumps([asdict(one) for one in results]) if arguments.json else report(results, where, arguments))


if __name__ == "__main__":
    main()

"""In: nothing. Out: CPU-seconds per million events of each role, as whole processes, one event per message and batched.

Each role runs as `streamgauge ROLE`, alone, over the output of the one before it; its user and system time is read from
the kernel between the moment it is let go and the moment its input is empty. Broker and ClickHouse are not counted.

    python -m benchmarks.bench_roles                       a table
    python -m benchmarks.bench_roles --events 1000000 --write docs/measured.md
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import signal
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.control.budgets import Budget, Scope
from schemas.status import BudgetStatus
from schemas.usage import USAGE_COLUMNS
from sources.bulk import BulkProducer
from streamgauge.embedded.broker import EmbeddedBroker
from streamgauge.embedded.child import LOOPBACK
from streamgauge.local.process import RoleProcess
from tests.support.house import TestHouse, wait_for
from tests.support.kafka import ApacheKafka
from tests.support.kafka_jars import KafkaUnavailableError

TEAMS = 50
MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
)
CHUNK = 25_000
WARM_UP = 50_000
DEADLINE_S = 900.0
#: Longer than a role stands still while the others work.
SESSION_MS = 240_000
ORDER = ("enrich", "agents", "sink")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One role over one framing. `cpu_s` is user + system time of its process."""

    role: str
    framing: str
    events: int
    cpu_s: float
    wall_s: float

    @property
    def cpu_per_million(self) -> float:
        return self.cpu_s * 1e6 / self.events

    @property
    def events_per_s(self) -> float:
        return self.events / self.wall_s


def events(count: int, seed: int = 7) -> Iterator[pa.Table]:
    """`count` events of the last hour, in event-time order: 50 teams, 4 models, the fields that a gateway fills."""
    rng = np.random.default_rng(seed)
    start = datetime.now(UTC) - timedelta(hours=1)
    for first in range(0, count, CHUNK):
        rows = min(CHUNK, count - first)
        at = start + timedelta(seconds=3_600 * first / count)
        offsets = np.sort(rng.integers(0, max(1, 3_600_000_000 * rows // count), rows))
        model = rng.integers(0, len(MODELS), rows)
        inputs = rng.lognormal(7, 1, rows).astype(np.int64) + 10
        cached = (inputs * rng.uniform(0, 0.8, rows)).astype(np.int64)
        outputs = rng.lognormal(5, 1, rows).astype(np.int64) + 1
        given = {
            "event_id": [uuid.UUID(bytes=rng.bytes(16)).hex for _ in range(rows)],
            "source": ["gateway-eu"] * rows,
            "occurred_at": (np.datetime64(at.replace(tzinfo=None), "us") + offsets.astype("timedelta64[us]")),
            "team_id": [f"team-{n}" for n in rng.integers(0, TEAMS, rows)],
            "user_id": [f"user-{n}" for n in rng.integers(0, 500, rows)],
            "use_case": [("support", "coding", "search")[n] for n in rng.integers(0, 3, rows)],
            "stage": ["production"] * rows,
            "provider": [MODELS[n][0] for n in model],
            "model": [MODELS[n][1] for n in model],
            "operation": ["chat"] * rows,
            "gateway_cache_hit": [False] * rows,
            "input_tokens": inputs,
            "cache_read_tokens": cached,
            "cache_write_tokens": np.zeros(rows, np.int64),
            "cache_write_1h_tokens": np.zeros(rows, np.int64),
            "output_tokens": outputs,
            "reasoning_tokens": np.zeros(rows, np.int64),
            "meters": [[]] * rows,
            "latency_ms": rng.integers(200, 20_000, rows),
            "status": ["ok"] * rows,
            "attempt": np.ones(rows, np.int64),
            "session_id": [f"s{n}" for n in rng.integers(0, 10_000, rows)],
            "tags": [[]] * rows,
        }
        yield pa.Table.from_arrays(
            [
                pa.array(given[field.name], type=field.type) if field.name in given else pa.nulls(rows, field.type)
                for field in USAGE_COLUMNS
            ],
            schema=USAGE_COLUMNS,
        )


def budgets() -> list[Budget]:
    """Two for each team, and two for everybody."""
    mine = [
        Budget(id=f"team-{n}-{period}", scope=Scope(team=f"team-{n}"), limit=Decimal(10_000_000), period=period)
        for n in range(TEAMS)
        for period in ("day", "month")
    ]
    return [*mine, *(Budget(id=f"all-{period}", limit=Decimal(10**9), period=period) for period in ("day", "month"))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def metric(role: RoleProcess, name: str) -> float:
    """Sum of a metric over its labels, from the role's own endpoint."""
    with urllib.request.urlopen(f"http://{LOOPBACK}:{role.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@contextmanager
def broker() -> Iterator[tuple[str, str]]:
    """(bootstrap, name): Apache Kafka where it can run, else the embedded broker."""
    try:
        with ApacheKafka() as kafka:
            yield kafka.bootstrap, "Apache Kafka"
    except KafkaUnavailableError as error:
        print(f"no Apache Kafka here ({error}); measuring on the embedded broker", file=sys.stderr)
        with EmbeddedBroker(cluster_id="benchmark") as embedded:
            yield embedded.bootstrap, "the embedded broker"


def measure(bootstrap: str, count: int, batch: int) -> list[Measured]:
    """CPU of each role for `count` events, `batch` to a message.

    All roles run and have taken in WARM_UP events: imports, compiled schemas and migrations are start-up, paid once.
    Then they are stopped in their tracks, the load is produced, and each is let go alone until its input is empty.
    """
    framing = "one event per message" if batch == 1 else f"{batch} events per message"
    sessions = {"STREAMGAUGE_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_MS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        TestHouse(
            bootstrap,
            Path(folder),
            f"bench{random.randrange(10**9)}.",
            partitions=(12, 16),
            environment=sessions,
        ) as house,
    ):
        house.apply(*budgets())
        house.start()
        load = events(WARM_UP + count)
        send(house, load, WARM_UP, batch)
        for name in ORDER:
            _await(house, name, WARM_UP)
        for name in ORDER:
            os.kill(house.roles[name].pid, signal.SIGSTOP)
        send(house, load, count, batch)
        results = []
        for name in ORDER:
            pid = house.roles[name].pid
            before, began = cpu_seconds(pid), time.monotonic()
            os.kill(pid, signal.SIGCONT)
            _await(house, name, WARM_UP + count)
            cpu, wall = cpu_seconds(pid) - before, time.monotonic() - began
            print(f"  {name}, {framing}: {cpu:.2f} CPU-s, {wall:.1f} s", file=sys.stderr)
            results.append(Measured(name, framing, count, cpu, wall))
        return results


def send(house: TestHouse, load: Iterator[pa.Table], count: int, batch: int) -> None:
    """Produce the next `count` events of the load."""
    with BulkProducer(house.connection, house.topics.events, batch=batch) as producer:
        while count > 0:
            count -= producer.send(next(load))


def _await(house: TestHouse, name: str, count: int) -> None:
    """Wait until a role has taken in the first `count` events, by its own account or by ClickHouse's."""
    role = house.roles[name]

    def through() -> bool:
        if not role.alive:
            raise SystemExit(f"{name} ended by itself:\n{role.log_tail(20)}")
        if name == "enrich":
            return metric(role, "streamgauge_enrich_events_total") >= count
        if name == "agents":
            return calls_counted(house) >= count
        return bool(house.query("SELECT sum(read) FROM usage_ledger FINAL")[0][0] >= count)

    wait_for(through, DEADLINE_S, f"{name} to take in {count:,} events")


def calls_counted(house: TestHouse) -> int:
    """Calls in the status of the budget for everybody: what the agents have folded, judged and committed."""
    newest: dict[bytes, int] = {}
    consumer = Consumer(house.connection.consumer("benchmark", enable_partition_eof=True))
    consumer.assign([TopicPartition(house.topics.status, 0, OFFSET_BEGINNING)])
    try:
        while True:
            for message in consumer.consume(10_000, 0.5):
                if message.error() is not None:
                    return sum(newest.values())
                key, value = message.key(), message.value()
                if key is not None and key.startswith(b"all-day"):
                    newest[key] = BudgetStatus.model_validate_json(value).calls if value else 0
    finally:
        consumer.close()


def report(results: list[Measured], where: str, count: int) -> str:
    """The table as Markdown."""
    packages = ("confluent-kafka", "pyarrow", "pyruhvro", "faust-streaming", "chdb")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    load = (
        f"{count:,} events of the last hour, {TEAMS} teams, {2 * TEAMS + 2} budgets, 12 event and 16 tally partitions"
    )
    lines = [
        "# Measured",
        "",
        "CPU-seconds (user + system, whole process) that each role needs for a million events; broker and ClickHouse",
        f"excluded. Each role was warmed up with {WARM_UP:,} events, then ran alone over what the one before it wrote.",
        "",
        f"Machine: {machine}; broker: {where} on the same machine; {versions}. {load}.",
        "",
        "| role | framing | CPU-s per million events | events/s, wall |",
        "|---|---|---:|---:|",
        *(f"| {one.role} | {one.framing} | {one.cpu_per_million:.2f} | {one.events_per_s:,.0f} |" for one in results),
    ]
    for framing in dict.fromkeys(one.framing for one in results):
        mine = [one for one in results if one.framing == framing]
        stream = sum(one.cpu_per_million for one in mine if one.role != "sink")
        lines.append(f"| **stream path (enrich + agents)** | {framing} | **{stream:.2f}** | |")
    command = f"python -m benchmarks.bench_roles --events {count} --write docs/measured.md"
    lines += [
        "",
        f"Measured by `{command}`, which wrote this page. Shared machines are noisy: read ratios, not digits.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--batch", type=int, default=200, help="events per message of the batched run")
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with broker() as (bootstrap, where):
        results = [one for batch in (1, arguments.batch) for one in measure(bootstrap, arguments.events, batch)]
    text = report(results, where, arguments.events)
    if arguments.write:
        arguments.write.write_text(text)
    print(
        json.dumps([asdict(one) | {"cpu_s_per_million": one.cpu_per_million} for one in results])
        if arguments.json
        else text
    )


if __name__ == "__main__":
    main()

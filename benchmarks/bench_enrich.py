"""Made-up usage events on a broker in, CPU-seconds of enrich per million of them out:
`python -m benchmarks.bench_enrich`.

Measured is the enrich process alone (user + system, its client's threads included), in the steady state after its
first batch; the broker and whoever produced the events are not. Two inputs: one event per message, and 200 per message.
Events have the sparsity of a gateway's: 21 of 45 fields are there, about 200 bytes of Avro.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from runtime.admin import create_topics
from runtime.clock import SystemClock
from runtime.connection import KafkaConnection
from runtime.health import Health
from runtime.metrics import EnrichMetrics
from schemas.avro_schemas import avro_schema
from schemas.control.budgets import Budget, Period, Scope
from schemas.control.directory import Membership, Sender, Team, TeamTerm
from schemas.control.models import CatalogueModel
from schemas.control.records import ControlRecord, dump_record, record_key
from schemas.framing import batch_datum, frame_single_object
from schemas.topics import Topics
from schemas.usage import USAGE_COLUMNS
from streamgauge.embedded.broker import EmbeddedBroker
from streams.enrich.config import EnrichConfig
from streams.enrich.run import Enricher
from tests.support.kafka import ApacheKafka
from tests.support.kafka_jars import KafkaUnavailableError

EVENT_PARTITIONS = 12
TALLY_PARTITIONS = 16
TEAMS = 50
BUDGETS = 100
USERS = 2_000
MODELS = ("gpt-5", "gpt-5-mini", "claude-sonnet-4-5", "claude-haiku-4-5", "gemini-2.5-pro")
CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured run. `cpu_s_per_million` is of the enrich process alone, after its first batch; `start_cpu_s` is
    what it used until then (imports, the rate card, joining the group, the first batch).
    """

    per_message: int
    events: int
    bytes_per_event: float
    cpu_s_per_million: float
    events_per_s: float
    start_cpu_s: float
    peak_mb: int
    batches: int


def control_records() -> list[ControlRecord]:
    """50 teams in 5 departments, their credentials, 100 budgets of every shape, a model catalogue."""
    records: list[ControlRecord] = []
    for number in range(TEAMS):
        term = TeamTerm(department=f"department-{number % 5}", cost_center=f"cc-{number}")
        records.append(Team(id=f"team-{number}", terms=(term,)))
        records.append(Sender(sender="credential", id=f"key-{number}", terms=(Membership(team=f"team-{number}"),)))
    scopes = [Scope(team=f"team-{number}") for number in range(TEAMS)]
    scopes += [Scope(department=f"department-{number}") for number in range(5)]
    scopes += [Scope(team=f"team-{number}", stage="production") for number in range(20)]
    scopes += [Scope(use_case=f"use-case-{number}") for number in range(20)]
    scopes += [Scope(model_class="frontier"), Scope(model_class="small"), Scope(stage="exploratory"), Scope(), Scope()]
    zones = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
    for number, scope in enumerate(scopes):
        period: Period = "day" if number % 3 == 0 else "month"
        zone = zones[number % len(zones)]
        records.append(Budget(id=f"budget-{number}", scope=scope, limit=Decimal(1_000), period=period, time_zone=zone))
    assert len(scopes) == BUDGETS
    records += [CatalogueModel(id=f"{name}*", model_class=kind) for name, kind in (("gpt-5", "frontier"),)]
    records += [CatalogueModel(id="claude*", model_class="frontier"), CatalogueModel(id="gemini*", model_class="small")]
    return records


def event_table(first: int, rows: int) -> pa.Table:
    """Events number `first` and on as USAGE_COLUMNS; the same for the same numbers."""
    random = np.random.default_rng(first)

    def pick(names: Sequence[str | None]) -> pa.Array:
        return pa.array(names, pa.utf8()).take(pa.array(random.integers(0, len(names), rows)))

    numbers = np.arange(first, first + rows)
    team = random.integers(0, TEAMS, rows)
    read = np.where(random.random(rows) < 0.4, random.integers(0, 20_000, rows), 0)
    output = random.integers(1, 4_000, rows)
    ids = pa.array([f"{zlib.crc32(b'%d' % number):08x}{number:012d}" for number in numbers.tolist()])
    given = {
        "event_id": ids,
        "source": pick([f"gateway-{number}" for number in range(4)]),
        "occurred_at": pa.array(int(time.time() * 1e6) - 60_000_000 + numbers % 60_000_000),
        "credential_id": pa.array([f"key-{number}" for number in range(TEAMS)]).take(pa.array(team)),
        "team_id": pa.array([f"team-{number}" for number in range(TEAMS)]).take(pa.array(team)),
        "user_id": pick([f"user-{number}" for number in range(USERS)]),
        "use_case": pick([f"use-case-{number}" for number in range(20)]),
        "workflow": pick([f"workflow-{number}" for number in range(30)]),
        "application": pick(["assistant", "search", "triage"]),
        "stage": pick(["production", "production", "exploratory"]),
        "provider": pick(["openai", "anthropic", None]),
        "model": pick(MODELS),
        "operation": pick(["chat"]),
        "input_tokens": pa.array(read + random.integers(1, 9_000, rows)),
        "cache_read_tokens": pa.array(read),
        "output_tokens": pa.array(output),
        "latency_ms": pa.array(output * 12),
        "ttft_ms": pa.array(random.integers(80, 900, rows)),
        "status": pick(["ok"] * 49 + ["error"]),
        "attempt": pa.repeat(pa.scalar(1, pa.int64()), rows),
        "session_id": pc.binary_join_element_wise("s-", ids, ""),
    }
    arrays = []
    for field in USAGE_COLUMNS:
        if field.name in given:
            arrays.append(given[field.name].cast(field.type))
        elif pa.types.is_map(field.type):
            arrays.append(pa.array([{}] * rows, field.type))
        elif field.nullable:
            arrays.append(pa.nulls(rows, field.type))
        else:
            arrays.append(pa.repeat(pa.scalar(0, field.type) if field.type != pa.bool_() else pa.scalar(False), rows))
    return pa.Table.from_arrays(arrays, schema=USAGE_COLUMNS)


def produce(connection: KafkaConnection, topics: Topics, events: int, per_message: int) -> int:
    """Fill usage.events; returns the bytes of all datums."""
    single, batch = avro_schema("usage_event"), avro_schema("usage_event_batch")
    producer = Producer(connection.librdkafka(linger_ms=20, queue_buffering_max_kbytes=1_048_576))
    total = 0
    for first in range(0, events, CHUNK):
        table = event_table(first, min(CHUNK, events - first))
        [record_batch] = table.combine_chunks().to_batches()
        datums = [bytes(one) for one in pyruhvro.serialize_record_batch(record_batch, single.text, 1)[0].to_pylist()]
        keys = [key.encode() for key in table.column("event_id").to_pylist()]
        total += sum(map(len, datums))
        homes: list[list[int]] = [[] for _ in range(EVENT_PARTITIONS)]
        for row, key in enumerate(keys):
            homes[zlib.crc32(key) % EVENT_PARTITIONS].append(row)
        for partition, rows in enumerate(homes):
            for at in range(0, len(rows), per_message):
                some = rows[at : at + per_message]
                if per_message == 1:
                    value = frame_single_object(single.crc64, datums[some[0]])
                else:
                    value = frame_single_object(batch.crc64, batch_datum([datums[row] for row in some]))
                while True:
                    try:
                        producer.produce(topics.events, key=keys[some[0]], value=value, partition=partition)
                        break
                    except BufferError:
                        producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    return total


def enrich_all(bootstrap: str, prefix: str, events: int, per_message: int, profile: str | None) -> Figure:
    """Run enrich in this process until it has read `events`; the part of the run that is measured."""
    connection = KafkaConnection(bootstrap, session_timeout_ms=6_000)
    topics = Topics(prefix, EVENT_PARTITIONS, TALLY_PARTITIONS)
    registry = CollectorRegistry()
    config = EnrichConfig(b"a key for measuring, of no value elsewhere", tag_keys=("env",))
    enricher = Enricher(config, connection, topics, SystemClock(), EnrichMetrics(registry), Health(), None)
    profiler = cProfile.Profile() if profile else None
    results = ("enriched", "duplicate", "rejected")
    first = done = batches = 0
    begun, used_at_start = time.monotonic(), 0.0
    while done < events:
        if profiler and first:
            profiler.enable()
        read = enricher.step()
        if profiler:
            profiler.disable()
        if read:
            batches += 1
            values = (registry.get_sample_value("streamgauge_enrich_events_total", {"result": one}) for one in results)
            done = int(sum(value or 0.0 for value in values))
        if done and not first:
            first, begun, used_at_start = done, time.monotonic(), cpu_seconds()
    wall, used = time.monotonic() - begun, cpu_seconds() - used_at_start
    enricher.close()
    if profiler and profile:
        profiler.dump_stats(profile)
    return Figure(
        per_message=per_message,
        events=done,
        bytes_per_event=0.0,
        cpu_s_per_million=used / (done - first) * 1e6,
        events_per_s=(done - first) / wall,
        start_cpu_s=used_at_start,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        batches=batches,
    )


def cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(bootstrap: str, prefix: str, events: int, per_message: int, profile: str | None = None) -> Figure:
    """Produce the input here, enrich it in a process of its own."""
    connection = KafkaConnection(bootstrap)
    topics = Topics(prefix, EVENT_PARTITIONS, TALLY_PARTITIONS)
    create_topics(connection, topics, 1)
    producer = Producer(connection.librdkafka())
    for record in control_records():
        producer.produce(topics.control, key=record_key(record).encode(), value=dump_record(record), partition=0)
    producer.flush()
    size = produce(connection, topics, events, per_message)
    command = [sys.executable, "-m", "benchmarks.bench_enrich", "--worker", bootstrap, "--prefix", prefix]
    command += ["--events", str(events), "--per-message", str(per_message)]
    command += ["--profile", profile] if profile else []
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    return Figure(**(json.loads(answer) | {"bytes_per_event": size / events}))


@contextmanager
def broker(bootstrap: str | None) -> Iterator[str]:
    """The broker at `bootstrap`; None: an Apache Kafka of our own, or the embedded broker where that cannot run."""
    if bootstrap is not None:
        yield bootstrap
        return
    try:
        with ApacheKafka() as kafka:
            yield kafka.bootstrap
    except KafkaUnavailableError as error:
        print(f"on the embedded broker, because: {error}", file=sys.stderr)
        with EmbeddedBroker() as embedded:
            yield embedded.bootstrap


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--per-message", type=int, action="append", help="events per message; may be given twice")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--bootstrap", help="a broker that is there; else one is started")
    parser.add_argument("--profile", help="write a cProfile of the enrich process to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default=f"bench{int(time.time())}.", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = given.per_message or [1, 200]
    if given.worker:
        print(json.dumps(asdict(enrich_all(given.worker, given.prefix, given.events, sizes[0], given.profile))))
        return
    with broker(given.bootstrap) as bootstrap:
        figures = [measure(bootstrap, f"{given.prefix}{size}.", given.events, size, given.profile) for size in sizes]
    if given.json:
        print(json.dumps([asdict(figure) for figure in figures]))
        return
    print(
        f"{'events/message':>14} {'events':>10} {'B/event':>8} {'CPU-s/M':>8} {'events/s':>9} {'start CPU-s':>11} "
        f"{'peak MB':>8} {'batches':>8}"
    )
    for one in figures:
        print(
            f"{one.per_message:>14} {one.events:>10,} {one.bytes_per_event:>8.0f} {one.cpu_s_per_million:>8.2f} "
            f"{one.events_per_s:>9,.0f} {one.start_cpu_s:>11.1f} {one.peak_mb:>8,} {one.batches:>8}"
        )


if __name__ == "__main__":
    main()

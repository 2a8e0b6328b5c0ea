"""A dedupe window of many ids in; bytes an id, seconds to judge, add and rebuild, and peak memory out:
`python -m benchmarks.bench_dedupe`.

Each part runs in a process of its own. *Live*: a partition of steady traffic over a day, then on through another
quarter of it and more, so that the oldest ids leave and memory is pruned; one id in fifty is a resend. *Rebuild*: the
same window from its fingerprint log on a broker, as after a restart. The broker and whoever wrote the log do not count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

from benchmarks.bench_enrich import broker, cpu_seconds
from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from schemas.positions import Headers, Mark, SourceRange, version_header
from schemas.topics import Topics
from streams.enrich.dedupe import ACCEPTED, Fingerprints, Window, fingerprints
from streams.enrich.fingerprint_log import FingerprintLog, fingerprint_value
from streams.enrich.hashing import mix

HORIZON_US = 86_400_000_000
#: How many windows of ids the live part goes through.
LIVE_TURNS = 1.6
RESENT_SHARE = 50


@dataclass(frozen=True, slots=True)
class Live:
    """`bytes_per_id_*`: memory of the window by the ids that count in it, over all batches from when it was full.

    `judge_ms` and `add_ms` are CPU time of one batch on average; `add_worst_ms` of the batch that prunes. `peak_mb` is
    of the process, interpreter and libraries (`base_mb`) included.
    """

    bytes_per_id_average: float
    bytes_per_id_worst: float
    bytes_per_id_held: float
    judge_ms: float
    add_ms: float
    add_worst_ms: float
    cpu_s_per_million: float
    base_mb: int
    peak_mb: int


@dataclass(frozen=True, slots=True)
class Rebuild:
    """`seconds` of wall time and `cpu_s` from the committed offset to a window that judges."""

    ids: int
    seconds: float
    cpu_s: float
    base_mb: int
    window_mb: int
    peak_mb: int


def batches(ids: int, turns: float, batch: int) -> Iterator[tuple[int, Fingerprints]]:
    """(broker time of its last event, batch) of traffic that brings `ids` ids a day; resends are of the last hour."""
    random = np.random.default_rng(1)
    start_us = 1_772_452_800_000_000
    for first in range(0, int(ids * turns), batch):
        numbers = np.arange(first, first + batch)
        times = start_us + numbers * HORIZON_US // ids
        sent_again = random.random(batch) < 1 / RESENT_SHARE
        numbers = np.where(sent_again, np.maximum(0, numbers - random.integers(1, 1 + ids // 24, batch)), numbers)
        hashes = mix(numbers.astype(np.uint64))
        yield int(times[-1]), fingerprints(hashes, mix(hashes), times)


def live(ids: int, batch: int) -> Live:
    """One partition's window at work."""
    base = peak_mb()
    # The horizon is wider than the ids reach: their number alone decides, which is the dearer case.
    window = Window(2 * HORIZON_US, ids)
    judging, adding, worst, per_id, steps, added = 0.0, 0.0, 0.0, [], 0, 0
    began = cpu_seconds()
    for _, rows in batches(ids, LIVE_TURNS, batch):
        asked = time.process_time()
        verdicts = window.judge(rows)
        judged = time.process_time()
        accepted = rows.take(verdicts == ACCEPTED)
        window.add(accepted)
        done = time.process_time()
        added += len(accepted)
        steps += 1
        judging, adding, worst = judging + judged - asked, adding + done - judged, max(worst, done - judged)
        if added >= ids:
            per_id.append(window.nbytes / ids)
    return Live(
        bytes_per_id_average=round(sum(per_id) / len(per_id), 2),
        bytes_per_id_worst=round(max(per_id), 2),
        bytes_per_id_held=round(window.nbytes / len(window), 2),
        judge_ms=round(judging / steps * 1e3, 3),
        add_ms=round(adding / steps * 1e3, 3),
        add_worst_ms=round(worst * 1e3, 1),
        cpu_s_per_million=round((cpu_seconds() - began) / (steps * batch) * 1e6, 3),
        base_mb=base,
        peak_mb=peak_mb(),
    )


def write_log(connection: KafkaConnection, topics: Topics, ids: int, batch: int) -> tuple[int, int]:
    """Fill the fingerprint log of partition 0 as enrich does. Returns the committed offset and the newest time."""
    producer = Producer(connection.librdkafka(linger_ms=20, queue_buffering_max_kbytes=1_048_576))
    window = Window(2 * HORIZON_US, ids)
    at = now_us = 0
    shift_us = int(time.time() * 1e6) - 1_772_452_800_000_000 - HORIZON_US
    for time_us, rows in batches(ids, 1.0, batch):
        now_us = time_us + shift_us
        accepted = rows.take(window.judge(rows) == ACCEPTED)
        window.add(accepted)
        shifted = Fingerprints(accepted.ids, accepted.notes + np.uint64(shift_us // 60_000_000))
        mark = Mark("range", now_us, now_us, now_us, 0, now_us)
        headers: Headers = [version_header(), SourceRange(0, at, at + batch).header(), mark.header()]
        while True:
            try:
                producer.produce(
                    topics.fingerprints,
                    value=fingerprint_value(shifted),
                    partition=0,
                    headers=headers,
                    timestamp=now_us // 1_000,
                )
                break
            except BufferError:
                producer.poll(0.1)
        at += batch
    producer.flush()
    return at, now_us


def rebuild(bootstrap: str, prefix: str, ids: int, committed: int, now_us: int) -> Rebuild:
    """The window from its log."""
    topics = Topics(prefix, 1, 1)
    log = FingerprintLog(KafkaConnection(bootstrap), topics.fingerprints, f"{prefix}bench", HORIZON_US, ids)
    base, began, used = peak_mb(), time.monotonic(), cpu_seconds()
    restored = log.restore(0, committed, now_us)
    seconds, cpu_s = time.monotonic() - began, cpu_seconds() - used
    return Rebuild(
        ids=len(restored.window),
        seconds=round(seconds, 2),
        cpu_s=round(cpu_s, 2),
        base_mb=base,
        window_mb=restored.window.nbytes // 1_048_576,
        peak_mb=peak_mb(),
    )


def peak_mb() -> int:
    """Of this process alone: what `getrusage` says begins with its parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def child(*arguments: object) -> dict[str, float]:
    """This file in a process of its own; what it printed last."""
    command = [sys.executable, "-m", "benchmarks.bench_dedupe", *map(str, arguments)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    answer: dict[str, float] = json.loads(out.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--ids", type=int, default=10_000_000, help="how many the window remembers")
    parser.add_argument("--batch", type=int, default=5_000, help="events a batch")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--bootstrap", help="a broker that is there; else one is started")
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rebuild", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.live:
        print(json.dumps(asdict(live(given.ids, given.batch))))
        return
    if given.rebuild:
        bootstrap, prefix, committed, now_us = given.rebuild
        print(json.dumps(asdict(rebuild(bootstrap, prefix, given.ids, int(committed), int(now_us)))))
        return
    figures = {"live": child("--live", "--ids", given.ids, "--batch", given.batch)}
    with broker(given.bootstrap) as bootstrap:
        connection, topics = KafkaConnection(bootstrap), Topics(f"bench{int(time.time())}.", 1, 1)
        create_topics(connection, topics, 1)
        committed, now_us = write_log(connection, topics, given.ids, given.batch)
        figures["rebuild"] = child("--ids", given.ids, "--rebuild", bootstrap, topics.prefix, committed, now_us)
    if given.json:
        print(json.dumps({"ids": given.ids, "batch": given.batch, **figures}))
        return
    for part, values in figures.items():
        print(f"{part}, {given.ids:,} ids in batches of {given.batch:,}")
        for name, value in values.items():
            print(f"  {name.replace('_', ' '):<22} {value:>12,}")


if __name__ == "__main__":
    main()

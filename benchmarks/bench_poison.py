"""Events of which some are poison in, the time to decode them against that of clean ones out:
`python -m benchmarks.bench_poison [--json]`.

Poison is what a broken sender writes: datums cut short, numbers without an end, branches that do not exist, text that
is not UTF-8; JSON that is cut, and fields of the wrong type. Single events and batches of 200, Avro and JSON, in
kinds of poison mixed evenly, spread evenly over the call by a seed. With batches, poison is counted in messages: of a
datum nothing behind the first bad byte can be read. Every ratio is to the clean call of the same run.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import fastavro

from schemas.avro_schemas import avro_schema
from schemas.decoding import Decoder
from schemas.framing import batch_datum, frame_single_object

SHARES: Final = (0.0, 0.001, 0.01, 0.1, 1.0)
PER_BATCH: Final = 200
_AT_US: Final = 1_750_000_000_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One call. `poison` is the share of bad messages, `ratio` the time of the call over that of the clean one."""

    form: str
    events: int
    messages: int
    poison: float
    refused: int
    us_per_event: float
    ratio: float


def event(number: int) -> dict[str, Any]:
    """As a gateway fills it: 21 of 45 fields."""
    return {
        "event_id": f"{number:032x}",
        "source": f"gateway-{number % 7}",
        "occurred_at": _AT_US + number * 1_000,
        "team_id": f"team-{number % 50}",
        "user_id": f"user-{number % 2000}",
        "project_id": f"project-{number % 40}",
        "credential_id": f"key-{number % 100}",
        "use_case": "summarise",
        "workflow": "ticket",
        "workflow_version": "12",
        "application": "helpdesk",
        "stage": "production",
        "provider": "openai",
        "model": ("gpt-5", "gpt-5-mini", "claude-sonnet-4-5")[number % 3],
        "input_tokens": 1_200 + number % 9_000,
        "cache_read_tokens": number % 1_000,
        "output_tokens": 300 + number % 700,
        "latency_ms": 800 + number % 4_000,
        "trace_id": f"{number * 7919:032x}",
        "session_id": f"session-{number % 5000}",
        "tags": {"region": "eu"},
    }


def datum(number: int) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, avro_schema("usage_event").parsed, event(number))
    return out.getvalue()


def spoil_avro(value: bytes, kind: int) -> bytes:
    """Behind the framing's ten bytes."""
    at = 10 + (len(value) - 10) * 2 // 3
    if kind == 0:
        return value[:at]
    if kind == 1:
        return value[:44] + b"\xff" * 12 + value[44:]
    if kind == 2:
        # The source's last letter and team's branch.
        place = value.index(b"gateway-") + 9
        return value[:place] + b"\x08" + value[place + 1 :]
    return value.replace(b"gateway-", b"gatew\xffy-", 1)


def spoil_json(value: bytes, kind: int) -> bytes:
    if kind == 0:
        return value[: len(value) * 2 // 3]
    if kind == 1:
        return value.replace(b'"input_tokens":', b'"input_tokens":1.5,"input_token":', 1)
    if kind == 2:
        return value.replace(b'"model"', b'"nodel"', 1)
    return value.replace(b"gateway-", b"gatew\xffy-", 1)


def avro_messages(events: int, per_message: int) -> list[bytes]:
    datums = [datum(number) for number in range(events)]
    if per_message == 1:
        crc64 = avro_schema("usage_event").crc64
        return [frame_single_object(crc64, one) for one in datums]
    crc64 = avro_schema("usage_event_batch").crc64
    return [
        frame_single_object(crc64, batch_datum(datums[start : start + per_message]))
        for start in range(0, events, per_message)
    ]


def json_messages(events: int, per_message: int) -> list[bytes]:
    found = [event(number) for number in range(events)]
    if per_message == 1:
        return [json.dumps(one, separators=(",", ":")).encode() for one in found]
    return [
        json.dumps({"events": found[start : start + per_message]}, separators=(",", ":")).encode()
        for start in range(0, events, per_message)
    ]


def poison(clean: list[bytes], share: float, spoil: Callable[[bytes, int], bytes], seed: int) -> list[bytes]:
    """`share` of the messages spoiled: at least one, unless the share is none."""
    count = min(len(clean), max(1, round(len(clean) * share))) if share else 0
    bad = set(random.Random(seed).sample(range(len(clean)), count))
    kinds = iter(range(count))
    return [spoil(value, next(kinds) % 4) if place in bad else value for place, value in enumerate(clean)]


def measure(
    form: str, clean: list[bytes], events: int, spoil: Callable[[bytes, int], bytes], seed: int, runs: int
) -> list[Figure]:
    decoder = Decoder("usage_event")
    calls = {share: poison(clean, share, spoil, seed) for share in SHARES}
    best = dict.fromkeys(SHARES, float("inf"))
    refused = dict.fromkeys(SHARES, 0)
    # In turns, so that what else the machine does falls on all of them alike.
    for _ in range(runs):
        for share, values in calls.items():
            begun = time.perf_counter()
            decoded = decoder.decode(values)
            best[share] = min(best[share], time.perf_counter() - begun)
            refused[share] = len(decoded.failures)
    return [
        Figure(form, events, len(clean), share, refused[share], best[share] / events * 1e6, best[share] / best[0.0])
        for share in SHARES
    ]


def one_giant(events: int, runs: int) -> list[Figure]:
    """One message with all events, and in it a single one whose text is not UTF-8, or a single one cut short."""
    crc64 = avro_schema("usage_event_batch").crc64
    datums = [datum(number) for number in range(events)]
    middle = events // 2
    forms = {
        "one giant batch, clean": datums,
        "one giant batch, one text not UTF-8": [
            one.replace(b"gateway-", b"gatew\xffy-", 1) if place == middle else one for place, one in enumerate(datums)
        ],
        "one giant batch, one event cut": [one[:60] if place == middle else one for place, one in enumerate(datums)],
    }
    decoder = Decoder("usage_event")
    best: dict[str, float] = dict.fromkeys(forms, float("inf"))
    refused: dict[str, int] = {}
    for _ in range(runs):
        for form, parts in forms.items():
            value = frame_single_object(crc64, batch_datum(parts))
            begun = time.perf_counter()
            decoded = decoder.decode([value])
            best[form] = min(best[form], time.perf_counter() - begun)
            refused[form] = len(decoded.failures)
    clean = best["one giant batch, clean"]
    return [
        Figure(
            form, events, 1, float(form != "one giant batch, clean"), refused[form], took / events * 1e6, took / clean
        )
        for form, took in best.items()
    ]


def run(events: int, seed: int, runs: int) -> list[Figure]:
    figures: list[Figure] = []
    for name, messages, spoil in (("Avro", avro_messages, spoil_avro), ("JSON", json_messages, spoil_json)):
        for per_message in (1, PER_BATCH):
            form = f"{name}, {'one event' if per_message == 1 else f'{per_message} events'} a message"
            # As many messages as make a share of 1 % more than a single one.
            count = events if per_message == 1 else events * 4
            figures += measure(form, messages(count, per_message), count, spoil, seed, runs)
    return figures + one_giant(5_000, runs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_poison", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="in one call; batches: four times as many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5, help="of which the fastest counts")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = run(asked.events, asked.seed, asked.runs)
    if asked.json:
        print(json.dumps({"seed": asked.seed, "figures": [asdict(one) for one in figures]}, indent=2))
        return 0
    print(f"{'form':42} {'messages':>8} {'poison':>8} {'refused':>8} {'µs/event':>9} {'ratio':>6}")
    for one in figures:
        print(
            f"{one.form:42} {one.messages:8,} {one.poison:8.1%} {one.refused:8,} "
            f"{one.us_per_event:9.2f} {one.ratio:6.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""In: good calls and a random source. Out: events that must be refused, each with the rejection code that it must get.

Row faults ride inside ordinary batch messages, where they must harm no neighbour; message faults are whole values.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from runtime.clock import to_datetime
from schemas.avro_schemas import avro_schema
from schemas.framing import SINGLE_OBJECT_MAGIC, frame_single_object
from schemas.rejections import RejectionCode
from schemas.usage import MAX_TOKENS
from sources.fleet.calls import Calls
from sources.messages import encode_rows

#: Faults of values; `Calls.fault` is the place here plus 1. Those of text and tags are put in when rows become Arrow.
ROW_FAULTS: Final[tuple[RejectionCode, ...]] = (
    "negative_count",
    "absurd_count",
    "broken_invariant",
    "bad_value",
    "too_long",
    "tag_not_allowed",
    "too_early",
    "too_far_ahead",
)
#: Far ahead of any clock, and still a date that every column type can hold.
FAR_AHEAD_US: Final = 4_070_908_800_000_000


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message whose value cannot become an event. `key` decides its partition, `sent_us` its place in time."""

    sent_us: int
    key: bytes
    value: bytes
    code: RejectionCode


def row_fault(code: RejectionCode) -> int:
    """The number that marks a row fault."""
    return ROW_FAULTS.index(code) + 1


def spoil(calls: Calls, random: np.random.Generator) -> Calls:
    """The calls with one row fault each, every kind as often as the others."""
    count = len(calls)
    fault = (random.permutation(count) % len(ROW_FAULTS) + 1).astype(np.int8)
    tokens, output, occurred = calls.input.copy(), calls.output.copy(), calls.occurred_us.copy()
    reasoning = calls.reasoning.copy()
    output[fault == row_fault("negative_count")] = -17
    tokens[fault == row_fault("absurd_count")] = MAX_TOKENS * 10
    broken = fault == row_fault("broken_invariant")
    reasoning[broken] = output[broken] + 1
    # The classic: seconds where microseconds are wanted.
    occurred = np.where(fault == row_fault("too_early"), occurred // 1_000_000, occurred)
    occurred = np.where(fault == row_fault("too_far_ahead"), FAR_AHEAD_US, occurred)
    return calls.with_columns(input=tokens, output=output, reasoning=reasoning, occurred_us=occurred, fault=fault)


def bad_messages(times_us: list[int], sample: pa.Table, random: np.random.Generator) -> list[BadMessage]:
    """One bad message per time, every kind in turn. `sample`: one good event (USAGE_COLUMNS) to be broken."""
    datum = encode_rows(sample, "usage_event")[0]
    crc64 = avro_schema("usage_event").crc64
    makers: tuple[tuple[RejectionCode, Callable[[int], bytes]], ...] = (
        ("empty", lambda _: b""),
        ("unknown_framing", lambda _: b"usage: 1200 tokens"),
        ("truncated", lambda _: SINGLE_OBJECT_MAGIC + crc64[:3]),
        ("unknown_schema", lambda _: frame_single_object(random.bytes(8), datum)),
        ("undecodable", lambda _: frame_single_object(crc64, datum[: len(datum) // 2])),
        ("not_utf8", lambda us: _json(us).replace(b"gpt-4o", b"gpt\xff\xfe4o")),
        ("bad_json", lambda us: _json(us)[:-9]),
        ("missing_field", lambda us: _json(us, model=None)),
        ("bad_type", lambda us: _json(us, input_tokens="many")),
    )
    bad = []
    for place, sent_us in enumerate(times_us):
        code, make = makers[place % len(makers)]
        bad.append(BadMessage(sent_us, random.bytes(8).hex().encode(), make(sent_us), code))
    return bad


def _json(occurred_us: int, **changed: object) -> bytes:
    event = {
        "event_id": f"shell-{occurred_us}",
        "source": "curl",
        "occurred_at": to_datetime(occurred_us).isoformat(),
        "model": "gpt-4o",
        "input_tokens": 100,
        "output_tokens": 10,
        **changed,
    }
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()

"""In: the `.avsc` files under `avro/`. Out: every version of every event, parsed, with its CRC-64-AVRO fingerprint.

A version is never edited after it was released: a change is a new file `vN+1.avsc`, FULL_TRANSITIVE-compatible with all
before it (new fields carry defaults, nothing is renamed or removed).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

EventName = Literal["usage_event", "usage_event_batch", "outcome_event"]

#: Current version of each event, the one that our own producers write.
CURRENT: dict[EventName, int] = {"usage_event": 1, "usage_event_batch": 1, "outcome_event": 1}


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """One version of one event's Avro schema.

    `text` is the JSON that a registry or a native decoder is given, `parsed` what fastavro wants, `crc64` the eight
    little-endian fingerprint bytes of Avro's single-object encoding.
    """

    name: EventName
    version: int
    text: str
    parsed: Any
    crc64: bytes


def _fingerprint(schema: dict[str, Any]) -> bytes:
    # fastavro prints the fingerprint's bytes in wire (little-endian) order.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def _batch_of(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "UsageEventBatch",
        "namespace": "streamgauge.usage",
        "doc": "Many usage events in one message: the Kafka client's cost per message is then shared.",
        "fields": [{"name": "events", "type": {"type": "array", "items": event}}],
    }


@cache
def avro_schema(name: EventName, version: int | None = None) -> AvroSchema:
    """The schema of event `name`; `version` None means the current one. KeyError for a version that never was.

    A batch is the array form of the event of the same version, so it has no file of its own.
    """
    wanted = CURRENT[name] if version is None else version
    folder = "usage_event" if name == "usage_event_batch" else name
    file = resources.files("schemas").joinpath(f"avro/{folder}/v{wanted}.avsc")
    if not file.is_file():
        raise KeyError(f"{name} has no version {wanted}; the newest is {CURRENT[name]}")
    raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    schema = _batch_of(raw) if name == "usage_event_batch" else raw
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema)))
    return AvroSchema(name, wanted, json.dumps(schema), parsed, _fingerprint(schema))


@cache
def by_fingerprint() -> dict[bytes, AvroSchema]:
    """Every released version of every event, keyed by its eight fingerprint bytes."""
    return {
        schema.crc64: schema
        for name, newest in CURRENT.items()
        for schema in (avro_schema(name, version) for version in range(1, newest + 1))
    }

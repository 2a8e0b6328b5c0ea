"""In: nothing. Out: good messages of every topic, to be spoiled, and what each is to be read as."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import pyarrow as pa

from schemas.avro_schemas import AvroSchema, avro_schema
from schemas.decoding import Decoder, UnknownSchema
from schemas.framing import batch_datum, frame_confluent, frame_single_object
from tests.schemas.golden_files import Event

#: Registry ids: the event, its batch, the event with a field more than this version knows, and a schema of strangers.
EVENT_ID, BATCH_ID, NEWER_ID, STRANGE_ID = 7, 8, 9, 10
_AT_US: Final = 1_772_452_800_000_000


class Registry:
    """Knows the schemas that it is given; any other id is unknown."""

    def __init__(self, schemas: dict[int, str]) -> None:
        self.schemas = schemas

    def schema_text(self, schema_id: int) -> str:
        try:
            return self.schemas[schema_id]
        except KeyError:
            raise UnknownSchema(schema_id) from None


@dataclass(frozen=True, slots=True)
class Good:
    """One good message: `rows` are its events as they must be decoded, whatever its neighbours are."""

    form: str
    value: bytes
    rows: pa.Table


def registry(event: Event) -> Registry:
    newer = json.loads(avro_schema(event).text)
    newer["fields"].append({"name": "of_the_next_version", "type": ["null", "string"], "default": None})
    strange = {"type": "record", "name": "Strange", "fields": [{"name": "event_id", "type": "string"}]}
    texts = {EVENT_ID: avro_schema(event).text, NEWER_ID: json.dumps(newer), STRANGE_ID: json.dumps(strange)}
    if event == "usage_event":
        texts[BATCH_ID] = avro_schema("usage_event_batch").text
    return Registry(texts)


def usage(number: int) -> dict[str, Any]:
    """A usage event with about half of its fields: which, depends on the number."""
    given: dict[str, Any] = {
        "event_id": f"e{number}",
        "source": f"gateway-{number % 5}",
        "occurred_at": _AT_US + number * 1_000,
        "model": ("gpt-5", "claude-sonnet-4-5", "une-modèle-日本")[number % 3],
        "input_tokens": 100 + number * 37,
        "cache_read_tokens": number % 90,
        "output_tokens": 7 + number,
        "status": ("ok", "error", "cancelled", "refused")[number % 4],
        "attempt": 1 + number % 3,
    }
    optional: dict[str, Any] = {
        "team_id": f"team-{number % 4}",
        "user_id": f"Jürgen {number}",
        "credential_id": f"key-{number % 4}",
        "use_case": "triage",
        "stage": "production",
        "provider": "openai",
        "latency_ms": number * 11,
        "prefix_tokens": number,
        "trace_id": f"{number:032x}",
        "gateway_cache_hit": bool(number % 2),
        "meters": {"images": number, "seconds": 3},
        "tags": {"region": "eu"},
        "reported_cost_nanousd": number * 1_000_000,
    }
    return given | {name: value for place, (name, value) in enumerate(optional.items()) if (number + place) % 3}


def outcome(number: int) -> dict[str, Any]:
    given: dict[str, Any] = {
        "outcome_id": f"o{number}",
        "source": "tickets",
        "occurred_at": _AT_US + number * 1_000,
        "team_id": "team-1",
        "use_case": "triage",
        "kind": "ticket_closed",
        "succeeded": bool(number % 2),
    }
    optional: dict[str, Any] = {"value_nanousd": number * 10**9, "minutes_saved": 1.5, "workflow": "closing"}
    given |= {"quality": 0.5, "quality_kind": "rubric"} if number % 2 else {}
    return given | {name: value for place, (name, value) in enumerate(optional.items()) if (number + place) % 2}


def datum(schema: AvroSchema, event: dict[str, Any]) -> bytes:
    defaults = {field["name"]: field.get("default") for field in json.loads(schema.text)["fields"]}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, defaults | event)
    return out.getvalue()


def plain(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def event_messages(event: Event) -> list[Good]:
    """Every framing and form, several of each."""
    schema, make = avro_schema(event), usage if event == "usage_event" else outcome
    found: list[tuple[str, bytes]] = []
    for number in range(0, 60, 6):
        single = datum(schema, make(number))
        found.append(("single object", frame_single_object(schema.crc64, single)))
        found.append(("Confluent", frame_confluent(EVENT_ID, datum(schema, make(number + 1)))))
        found.append(("JSON", plain(make(number + 2))))
        found.append(("newer Confluent", frame_confluent(NEWER_ID, datum(schema, make(number + 3)) + b"\x02\x02x")))
        events = [make(1_000 + number * 10 + place) for place in range(4)]
        found.append(("JSON batch", plain({"events": events})))
        if event == "usage_event":
            batch = batch_datum([datum(schema, one) for one in events])
            found.append(("single-object batch", frame_single_object(avro_schema("usage_event_batch").crc64, batch)))
            found.append(("Confluent batch", frame_confluent(BATCH_ID, batch)))
    decoder = Decoder(event, registry(event))
    return [Good(form, value, _alone(decoder, value)) for form, value in found]


def _alone(decoder: Decoder, value: bytes) -> pa.Table:
    decoded = decoder.decode([value])
    assert not decoded.failures, decoded.failures
    return decoded.table

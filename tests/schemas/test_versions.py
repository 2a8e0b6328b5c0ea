"""Versions of an event: released ones never change, and any two of them read each other (FULL_TRANSITIVE)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import combinations
from typing import Any, Final

import pytest

from schemas.avro_schemas import CURRENT, EventName, avro_schema, by_fingerprint
from tests.schemas.compatibility import breaches
from tests.schemas.golden_files import EVENTS, Event, Golden

#: SHA-256 of every released file. A new version adds a line; a line is never changed.
RELEASED: Final[dict[str, str]] = {
    "usage_event/v1": "7a5e79a90f0acb188a28e1e97d3ce69f1ada69e8821b38e24ebc02807e5f40e3",
    "outcome_event/v1": "833e5cc81ceec9642c0cb1e71822f113ca9e1f7dbaa8d770364c86314496a8ac",
}
#: CRC-64-AVRO as it stands in single-object messages. The bytes are on topics: a line is never changed.
FINGERPRINTS: Final[dict[tuple[EventName, int], str]] = {
    ("usage_event", 1): "78bb3ba48a5efdd9",
    ("usage_event_batch", 1): "700d540c7d5f4715",
    ("outcome_event", 1): "a4863cb23ca2c7d3",
}


def sample(event: Event) -> dict[str, Any]:
    """The full golden sample of the newest version, as fastavro wants it."""
    full = Golden(event, CURRENT[event], "single_object", "full").expected[0]
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=full["occurred_at"])
    return {**full, "occurred_at": moment}


@pytest.mark.parametrize("event", EVENTS)
def test_released_files_are_untouched(event: Event) -> None:
    for version in range(1, CURRENT[event] + 1):
        name = f"{event}/v{version}"
        text = resources.files("schemas").joinpath(f"avro/{name}.avsc").read_bytes()
        assert hashlib.sha256(text).hexdigest() == RELEASED.get(name), (
            f"schemas/avro/{name}.avsc is not the file that was released. Take the change back and write it as "
            f"v{version + 1}.avsc (new fields at the end, with defaults), raise CURRENT in schemas/avro_schemas.py, "
            "add its hash to RELEASED and its bytes to tests/schemas/golden"
        )


def test_fingerprints_are_the_released_ones() -> None:
    known = {(schema.name, schema.version): crc64.hex() for crc64, schema in by_fingerprint().items()}
    assert known == FINGERPRINTS, (
        "the fingerprint of a version changed or a new version has none here: messages in single-object framing name "
        "their schema by it. Never change a line of FINGERPRINTS; add one for a new version"
    )


def test_no_version_stands_beside_the_current_ones() -> None:
    for event in EVENTS:
        folder = resources.files("schemas").joinpath(f"avro/{event}")
        found = sorted(file.name for file in folder.iterdir())
        assert found == [f"v{version}.avsc" for version in range(1, CURRENT[event] + 1)], (
            f"{event}: versions count from 1 without gaps up to CURRENT; raise CURRENT in schemas/avro_schemas.py"
        )


@pytest.mark.parametrize("event", EVENTS)
def test_all_versions_read_each_other(event: Event) -> None:
    texts = [avro_schema(event, version).text for version in range(1, CURRENT[event] + 1)]
    for older, newer in combinations(texts, 2):
        assert breaches(older, newer, sample(event)) == []


@pytest.mark.parametrize("event", EVENTS)
def test_a_version_that_never_was_is_named(event: Event) -> None:
    with pytest.raises(KeyError, match=f"{event} has no version 99; the newest is {CURRENT[event]}"):
        avro_schema(event, 99)


def changed(event: Event, **edit: Any) -> str:
    """The current schema with one field added or replaced by name (None: taken away)."""
    schema = json.loads(avro_schema(event).text)
    fields = {field["name"]: field for field in schema["fields"]} | edit
    return json.dumps({**schema, "fields": [field for field in fields.values() if field is not None]})


def field(name: str, avro_type: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro_type, **more}


OPTIONAL_TEXT: Final = ["null", "string"]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param({"region": field("region", OPTIONAL_TEXT, default=None)}, [], id="a new field with a default"),
        pytest.param({"model": field("model", "string", doc="Reworded.")}, [], id="reworded documentation"),
        pytest.param({"region": field("region", "string")}, ["new field region has no default"], id="no default"),
        pytest.param({"tags": None}, ["field tags is gone"], id="a field taken away"),
        pytest.param(
            {"latency_ms": field("latency_ms", ["null", "int"], default=None)},
            ["field latency_ms changed its type from ['null', 'long'] to ['null', 'int']"],
            id="a narrower type",
        ),
        pytest.param(
            {"status": field("status", "string", default="error")}, ["field status changed its default"], id="default"
        ),
        pytest.param(
            {"status": field("status", "string")}, ["field status changed its default"], id="default taken away"
        ),
    ],
)
def test_the_compatibility_rule_catches(edit: dict[str, Any], expected: list[str]) -> None:
    newer = changed("usage_event", **edit)
    assert breaches(avro_schema("usage_event").text, newer, {**sample("usage_event"), "region": "eu"}) == expected


def test_the_compatibility_rule_catches_a_new_order() -> None:
    schema = json.loads(avro_schema("usage_event").text)
    newer = json.dumps({**schema, "fields": schema["fields"][::-1]})
    assert breaches(avro_schema("usage_event").text, newer, sample("usage_event")) == [
        "fields changed their order: put new ones at the end"
    ]

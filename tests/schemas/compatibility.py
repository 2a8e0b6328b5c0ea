"""In: two versions of an event's Avro schema. Out: why they are not FULLY compatible, in sentences; none when they are.

Two ways together: the rule by which a version may be written (only new fields, each with a default, nothing renamed,
retyped or taken away), and fastavro's own schema resolution of a sample, in both directions.
"""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro


def breaches(older: str, newer: str, sample: dict[str, Any]) -> list[str]:
    """`older` and `newer` are schemas as JSON text; `sample` has a value for each field of either."""
    before, after = _fields(older), _fields(newer)
    found = [f"field {name} is gone" for name in before.keys() - after.keys()]
    for name, field in after.items():
        if name not in before:
            if "default" not in field:
                found.append(f"new field {name} has no default")
        elif _shape(field["type"]) != _shape(before[name]["type"]):
            found.append(f"field {name} changed its type from {before[name]['type']} to {field['type']}")
        elif ("default" in field, field.get("default")) != ("default" in before[name], before[name].get("default")):
            found.append(f"field {name} changed its default")
    if [name for name in before if name in after] != [name for name in after if name in before]:
        found.append("fields changed their order: put new ones at the end")
    return found or [*_unreadable(older, newer, sample), *_unreadable(newer, older, sample)]


def _fields(text: str) -> dict[str, Any]:
    return {field["name"]: field for field in json.loads(text)["fields"]}


def _shape(avro_type: Any) -> Any:
    """The type without its documentation."""
    if isinstance(avro_type, dict):
        return {key: _shape(value) for key, value in avro_type.items() if key != "doc"}
    if isinstance(avro_type, list):
        return [_shape(branch) for branch in avro_type]
    return avro_type


def _unreadable(writer: str, reader: str, sample: dict[str, Any]) -> list[str]:
    written = {name: sample[name] for name in _fields(writer)}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(writer)), written)
    body.seek(0)
    try:
        read: Any = fastavro.schemaless_reader(
            body, fastavro.parse_schema(json.loads(writer)), fastavro.parse_schema(json.loads(reader))
        )
    except (fastavro.read.SchemaResolutionError, ValueError, EOFError) as error:
        return [f"what one version writes the other cannot read: {error}"]
    expected = {name: written.get(name, field.get("default")) for name, field in _fields(reader).items()}
    return [
        f"field {name} was {expected[name]!r} and is read as {read[name]!r}"
        for name in read
        if read[name] != expected[name]
    ]

"""Bytes that producers have sent stay readable: every framing, form and version, field by field."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import pytest

from schemas.avro_schemas import CURRENT, AvroSchema, EventName, avro_schema, by_fingerprint
from schemas.decoding import Decoder
from schemas.framing import read_frame
from tests.schemas.golden_files import CONFLUENT_ID, EVENTS, GOLDEN, Event, Golden, golden_messages, plain

AVRO = [golden for golden in golden_messages() if golden.framing != "json"]
JSON = [golden for golden in golden_messages() if golden.framing == "json"]


def writer_of(golden: Golden) -> AvroSchema:
    name: EventName = "usage_event_batch" if golden.form == "batch" else golden.event
    return avro_schema(name, golden.version)


def with_defaults(event: dict[str, Any], name: Event) -> dict[str, Any]:
    """What a reader of the current version sees in an event of an older one."""
    defaults = {field["name"]: field.get("default") for field in json.loads(avro_schema(name).text)["fields"]}
    return {**defaults, **event}


@pytest.mark.parametrize("golden", golden_messages(), ids=str)
def test_framing_is_recognised(golden: Golden) -> None:
    frame = read_frame(golden.value)
    assert frame.framing == golden.framing
    if golden.framing == "confluent":
        assert frame.schema_ref == CONFLUENT_ID
    if golden.framing == "single_object":
        assert isinstance(frame.schema_ref, bytes)
        written_by = by_fingerprint()[frame.schema_ref]
        assert (written_by.name, written_by.version) == (writer_of(golden).name, golden.version)


@pytest.mark.parametrize("golden", AVRO, ids=str)
def test_the_current_reader_reads_it(golden: Golden) -> None:
    writer = writer_of(golden)
    body = io.BytesIO(golden.value[read_frame(golden.value).body_at :])
    read: Any = fastavro.schemaless_reader(body, writer.parsed, avro_schema(writer.name).parsed)
    assert body.read() == b"", "bytes are left over after the event"
    events = read["events"] if golden.form == "batch" else [read]
    assert [plain(event) for event in events] == [with_defaults(event, golden.event) for event in golden.expected]


@pytest.mark.parametrize("golden", AVRO, ids=str)
def test_its_own_version_writes_the_same_bytes(golden: Golden) -> None:
    """Avro leaves a writer no freedom here, so the golden bytes are also what an older producer still sends."""
    writer, body = writer_of(golden), io.BytesIO()
    events = [{**event, "occurred_at": _moment(event["occurred_at"])} for event in golden.expected]
    fastavro.schemaless_writer(body, writer.parsed, {"events": events} if golden.form == "batch" else events[0])
    assert body.getvalue() == golden.value[read_frame(golden.value).body_at :]


@pytest.mark.parametrize("golden", JSON, ids=str)
def test_json_says_the_same(golden: Golden) -> None:
    value = json.loads(golden.value)
    events = value["events"] if golden.form == "batch" else [value]
    assert [_from_json(event, golden.event) for event in events] == [
        with_defaults(event, golden.event) for event in golden.expected
    ]


class OneWriter:
    """A registry that knows the writer of one golden message."""

    def __init__(self, golden: Golden) -> None:
        self._text = writer_of(golden).text

    def schema_text(self, schema_id: int) -> str:
        assert schema_id == CONFLUENT_ID
        return self._text


@pytest.mark.parametrize("golden", golden_messages(), ids=str)
def test_the_decoder_reads_it(golden: Golden) -> None:
    """What enrich and the sink see: every framing and version as the current columns."""
    decoded = Decoder(golden.event, OneWriter(golden)).decode([golden.value])
    assert decoded.failures == []
    assert decoded.index.tolist() == list(range(len(golden.expected)))
    rows = [plain(row) for row in decoded.table.to_pylist(maps_as_pydicts="strict")]
    assert rows == [with_defaults(event, golden.event) for event in golden.expected]


@pytest.mark.parametrize("event", EVENTS)
def test_the_golden_samples_cover_every_field(event: Event) -> None:
    """The full sample sets each field away from its default, the least one leaves every default alone."""
    for version in range(1, CURRENT[event] + 1):
        full, least = Golden(event, version, "single_object", "batch").expected
        for field in json.loads(avro_schema(event, version).text)["fields"]:
            assert full.keys() == least.keys()
            if "default" in field:
                name = field["name"]
                assert full[name] != field["default"], (
                    f"{event} v{version}: the full sample leaves {name} at its default"
                )
                assert least[name] == field["default"], f"{event} v{version}: the least sample sets {name}"


def test_every_version_has_its_golden_files() -> None:
    missing = [str(golden.path.relative_to(GOLDEN)) for golden in golden_messages() if not golden.path.is_file()]
    assert not missing, (
        f"golden files are missing: {missing}. A new version needs a folder vN with the bytes of a full and a least "
        "event in every framing; write them once, check them by hand, and leave those of older versions alone"
    )


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _from_json(event: dict[str, Any], name: Event) -> dict[str, Any]:
    at = event["occurred_at"]
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return with_defaults(plain({**event, "occurred_at": moment}), name)

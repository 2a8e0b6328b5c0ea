"""The decoder: three framings, single and batch, in any mix; a bad message is refused alone and its neighbours pass."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import fastavro
import numpy as np
import pyruhvro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro_schemas import avro_schema
from schemas.decoding import Decoder, UnknownSchema
from schemas.decoding.walk import plan, walk
from schemas.framing import batch_datum, frame_confluent, frame_single_object
from tests.fuzz.mutations import zigzag

EVENT = avro_schema("usage_event")
BATCH = avro_schema("usage_event_batch")


def record(number: int = 0, **fields: Any) -> dict[str, Any]:
    base = {field["name"]: field.get("default") for field in json.loads(EVENT.text)["fields"]}
    base |= {"event_id": f"e{number}", "source": "svc", "occurred_at": 1_750_000_000_000_000 + number, "model": "gpt-5"}
    return base | {"input_tokens": 100 + number, "output_tokens": 7} | fields


def datum(number: int = 0, **fields: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, EVENT.parsed, record(number, **fields))
    return out.getvalue()


def single(number: int = 0, **fields: Any) -> bytes:
    return frame_single_object(EVENT.crc64, datum(number, **fields))


def batch(*numbers: int) -> bytes:
    return frame_single_object(BATCH.crc64, batch_datum([datum(number) for number in numbers]))


def plain(number: int = 0, **fields: Any) -> bytes:
    short = {
        "event_id": f"e{number}",
        "source": "svc",
        "model": "gpt-5",
        "input_tokens": 100 + number,
        "output_tokens": 7,
    }
    return json.dumps(short | {"occurred_at": "2025-06-15T15:06:40Z"} | fields).encode()


class Registry:
    """A registry that knows the schemas it was given."""

    def __init__(self, schemas: dict[int, str]) -> None:
        self.schemas = schemas

    def schema_text(self, schema_id: int) -> str:
        try:
            return self.schemas[schema_id]
        except KeyError:
            raise UnknownSchema(schema_id) from None


def test_all_framings_in_one_call_keep_source_order() -> None:
    decoded = Decoder("usage_event", Registry({7: EVENT.text})).decode(
        [batch(0, 1), plain(2), frame_confluent(7, datum(3)), single(4), batch(), plain(5)]
    )
    assert decoded.failures == []
    assert decoded.table["event_id"].to_pylist() == [f"e{n}" for n in range(6)]
    assert decoded.message.tolist() == [0, 0, 1, 2, 3, 5]
    assert decoded.index.tolist() == [0, 1, 0, 0, 0, 0]
    assert decoded.table["input_tokens"].to_pylist() == [100 + n for n in range(6)]
    assert decoded.table.schema.field("occurred_at").type.tz == "UTC"


@pytest.mark.parametrize("stranger", [None, b"", single()[:4], b"nonsense", plain(9), frame_confluent(7, datum(9))])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_values_of_one_writer_decode_alike_with_and_without_a_stranger(stranger: bytes | None, place: int) -> None:
    values: list[bytes | None] = [single(number) for number in range(5)]
    decoder = Decoder("usage_event", Registry({7: EVENT.text}))
    alone = decoder.decode(values)
    assert alone.failures == []
    assert alone.message.tolist() == list(range(5))
    mixed = decoder.decode([*values[:place], stranger, *values[place:]])
    own = [row for row, message in enumerate(mixed.message.tolist()) if message != place]
    assert mixed.table.take(own).equals(alone.table)
    assert len(own) + len(mixed.failures) + (mixed.table.num_rows - len(own)) == len(values) + 1


def test_a_header_without_a_datum_is_refused_among_its_like() -> None:
    decoded = Decoder("usage_event").decode([single(0), single(1)[:10], single(2)])
    assert decoded.table["event_id"].to_pylist() == ["e0", "e2"]
    assert [(one.message, one.code) for one in decoded.failures] == [(1, "undecodable")]


def test_json_batches_defaults_and_unknown_fields() -> None:
    events = [json.loads(plain(n, mystery=1)) for n in range(3)]
    decoded = Decoder("usage_event").decode([json.dumps({"events": events}).encode(), plain(3, occurred_at=5)])
    assert decoded.failures == []
    assert decoded.index.tolist() == [0, 1, 2, 0]
    assert decoded.unknown_fields == 3
    row = decoded.table.to_pylist()[0]
    assert (row["status"], row["attempt"], row["tags"], row["team_id"]) == ("ok", 1, [], None)
    assert row["occurred_at"].isoformat() == "2025-06-15T15:06:40+00:00"


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        pytest.param(None, "empty", "empty", id="null"),
        pytest.param(b"", "empty", "empty", id="empty"),
        pytest.param(b"hello", "unknown_framing", "0x68", id="no framing"),
        pytest.param(b"\xc3\x01abc", "truncated", "10 header bytes", id="short single-object header"),
        pytest.param(b"\x00\x00", "truncated", "5 header bytes", id="short Confluent header"),
        pytest.param(b"\xc3\x01" + b"x" * 20, "unknown_schema", "7878787878787878", id="unknown fingerprint"),
        pytest.param(frame_confluent(99, b"x"), "unknown_schema", "no schema 99", id="unknown registry id"),
        pytest.param(single()[:-20], "undecodable", "", id="truncated datum"),
        pytest.param(b"{not json", "bad_json", "JSON", id="bad JSON"),
        pytest.param(b'{"a": "\xff"}', "not_utf8", "UTF-8", id="JSON not UTF-8"),
        pytest.param(plain(model=3), "bad_type", "model must be text, not 3", id="JSON wrong type"),
        pytest.param(plain(input_tokens=1.5), "bad_type", "whole number", id="JSON fraction"),
        pytest.param(plain(input_tokens=2**70), "absurd_count", "64 bits", id="JSON huge"),
        pytest.param(plain(occurred_at="2025-06-15T15:06:40"), "bad_type", "time zone", id="JSON naive time"),
        pytest.param(plain(occurred_at="0001-01-01T00:00:00+23:59"), "bad_value", "calendar", id="JSON year 0 in UTC"),
        pytest.param(plain(occurred_at="9999-12-31T23:59:59-23:59"), "bad_value", "calendar", id="JSON year 10000"),
        pytest.param(plain(input_tokens=10**4_000), "absurd_count", "1000", id="JSON of 4,000 digits"),
        pytest.param(b'{"a":' * 100_000, "bad_json", "recursion", id="JSON nested too deep"),
        pytest.param(plain(source="x").replace(b"x", b"\\ud800"), "bad_json", "JSON", id="JSON lone surrogate"),
        pytest.param(
            b'{"events":[' + b"{}," * 30_000 + b"{}]}", "too_long", "30001 events", id="JSON batch of nothing"
        ),
        pytest.param(plain(tags={"k" * 90_000: 1}), "bad_type", "tags.k", id="JSON giant key"),
        pytest.param(b'{"event_id": "x"}', "missing_field", "source is missing", id="JSON missing field"),
        pytest.param(single().replace(b"gpt-5", b"gp\xff-5"), "not_utf8", "model", id="Avro not UTF-8"),
    ],
)
def test_a_bad_message_is_refused_alone(value: bytes | None, code: str, words: str) -> None:
    decoded = Decoder("usage_event", Registry({})).decode([single(1), value, batch(2, 3), plain(4)])
    assert [(failure.message, failure.code) for failure in decoded.failures] == [(1, code)]
    assert words in decoded.failures[0].sentence
    assert decoded.table["event_id"].to_pylist() == ["e1", "e2", "e3", "e4"]


def test_many_bad_datums_among_good_ones() -> None:
    values = [single(n)[:-25] if n % 50 == 3 else single(n) for n in range(1_000)]
    decoded = Decoder("usage_event").decode(values)
    assert [failure.message for failure in decoded.failures] == [n for n in range(1_000) if n % 50 == 3]
    assert decoded.message.tolist() == [n for n in range(1_000) if n % 50 != 3]


def test_a_bad_event_in_a_batch_whose_bytes_are_whole_is_refused_alone() -> None:
    events = [datum(n, tags={"k": "abc", "l": f"v{n}"}) for n in range(400)]
    events[123] = events[123].replace(b"abc", b"a\xffc")
    events[124] = events[124].replace(b"gpt-5", b"gp\xe2-5")
    decoded = Decoder("usage_event").decode([single(1), frame_single_object(BATCH.crc64, batch_datum(events))])
    assert [(one.message, one.index, one.code) for one in decoded.failures] == [
        (1, 123, "not_utf8"),
        (1, 124, "not_utf8"),
    ]
    assert [re.findall("field (\\w+)", one.sentence)[0] for one in decoded.failures] == ["tags", "model"]
    assert decoded.index.tolist() == [0, *(n for n in range(400) if n not in (123, 124))]


def test_a_batch_cut_short_costs_its_neighbours_nothing() -> None:
    values = [batch(3 * n, 3 * n + 1, 3 * n + 2) for n in range(60)]
    values[7], values[59] = values[7][:-30], values[59][:12]
    decoded = Decoder("usage_event").decode(values)
    assert [(one.message, one.code) for one in decoded.failures] == [(7, "undecodable"), (59, "undecodable")]
    assert np.unique(decoded.message).tolist() == [n for n in range(60) if n not in (7, 59)]


@pytest.mark.parametrize("count", [2**62, 2**40, 2**31, -(2**62), -(2**63)])
@pytest.mark.parametrize("form", ["batch", "map", "text"])
def test_declared_lengths_beyond_the_message_are_refused(form: str, count: int) -> None:
    number = zigzag(count) + (zigzag(9) if count < 0 else b"")
    value = {
        "batch": frame_single_object(BATCH.crc64, number + datum(0)),
        "map": frame_single_object(EVENT.crc64, datum(0)[:-1] + number),
        "text": frame_single_object(EVENT.crc64, number + datum(0)),
    }[form]
    decoded = Decoder("usage_event").decode([value, single(1)])
    assert [(one.message, one.code) for one in decoded.failures] == [(0, "undecodable")]
    assert decoded.table["event_id"].to_pylist() == ["e1"]


def test_a_registry_schema_whose_values_take_no_bytes_is_refused() -> None:
    """Ten bytes could stand for more entries than there is memory."""
    for items in ("null", {"type": "record", "name": "N", "fields": [{"name": "n", "type": "null"}]}):
        document = json.loads(EVENT.text)
        document["fields"].append({"name": "bomb", "type": {"type": "array", "items": items}})
        value = frame_confluent(1, datum(0) + zigzag(2**40) + b"\x00")
        decoded = Decoder("usage_event", Registry({1: json.dumps(document)})).decode([value, single(1)])
        assert [(one.message, one.code) for one in decoded.failures] == [(0, "schema_mismatch")]


def test_maps_longer_than_are_walked_are_read() -> None:
    long = single(1, meters={f"m{n}": n for n in range(500)})
    decoded = Decoder("usage_event").decode([long, single(2)[:-20], long[:-1], single(3)])
    assert [(one.message, one.code) for one in decoded.failures] == [(1, "undecodable"), (2, "undecodable")]
    assert decoded.table["event_id"].to_pylist() == ["e1", "e3"]
    assert len(decoded.table["meters"][0].as_py()) == 500


SPOILS = st.lists(
    st.tuples(
        st.integers(0, 400), st.integers(0, 3), st.binary(max_size=11) | st.sampled_from([b"\xff" * 10, b"\x80" * 11])
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**40), st.booleans(), SPOILS), min_size=1, max_size=12))
def test_the_walk_and_the_native_decoder_say_the_same(
    events: list[tuple[int, bool, list[tuple[int, int, bytes]]]],
) -> None:
    """Whether an event is refused never depends on the company in which it was read."""
    fields = plan(json.loads(EVENT.text))
    assert fields is not None
    datums = []
    for number, rich, spoils in events:
        more = {"tags": {"a": "b", "ü": "日本"}, "meters": {"m": number}, "team_id": "t", "latency_ms": number}
        value = bytearray(datum(number, **(more if rich else {})))
        for at, removed, inserted in spoils:
            value[at % len(value) : at % len(value) + removed] = inserted
            value = value or bytearray(b"\x00")
        datums.append(bytes(value))
    walked = walk(datums, fields)
    assert not walked.unsettled
    for place, value_ in enumerate(datums):
        try:
            pyruhvro.deserialize_array([value_], EVENT.text)
        except ValueError:
            assert place in walked.bad
        else:
            assert place not in walked.bad


def test_an_outcome_on_the_usage_topic_is_a_mismatch() -> None:
    outcome = avro_schema("outcome_event")
    decoded = Decoder("usage_event").decode([frame_single_object(outcome.crc64, b"\x00")])
    assert decoded.failures[0].code == "schema_mismatch"
    assert "outcome_event" in decoded.failures[0].sentence


def test_a_newer_writer_schema_is_read_and_a_poorer_one_refused() -> None:
    newer = json.loads(EVENT.text)
    newer["fields"].append({"name": "brand_new", "type": ["null", "string"], "default": None})
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(newer), record(1) | {"brand_new": "x"})
    poorer = {"type": "record", "name": "UsageEvent", "fields": [{"name": "event_id", "type": "string"}]}
    registry = Registry({1: json.dumps(newer), 2: json.dumps(poorer), 3: '"string"'})
    decoded = Decoder("usage_event", registry).decode(
        [frame_confluent(1, out.getvalue()), frame_confluent(2, b"\x02a"), frame_confluent(3, b"\x02a")]
    )
    assert decoded.table["event_id"].to_pylist() == ["e1"]
    assert [failure.code for failure in decoded.failures] == ["schema_mismatch", "schema_mismatch"]
    assert "no field source" in decoded.failures[0].sentence


def test_outcomes_decode_with_the_same_code() -> None:
    schema = avro_schema("outcome_event")
    fields = {field["name"]: field.get("default") for field in json.loads(schema.text)["fields"]}
    fields |= {"outcome_id": "o", "source": "s", "occurred_at": 1, "team_id": "t", "use_case": "u", "kind": "k"}
    fields |= {"succeeded": True, "value_nanousd": 12_500_000_000}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, fields)
    decoded = Decoder("outcome_event").decode([frame_single_object(schema.crc64, out.getvalue())])
    assert decoded.failures == []
    assert decoded.table["value_nanousd"].to_pylist() == [12_500_000_000]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.binary(max_size=60), st.binary(max_size=40).map(lambda b: single()[:10] + b)),
        max_size=8,
    )
)
def test_no_bytes_make_it_raise_and_every_value_is_accounted_for(values: list[bytes | None]) -> None:
    decoded = Decoder("usage_event", Registry({})).decode(values)
    seen = {int(place) for place in decoded.message} | {failure.message for failure in decoded.failures}
    empty_batches = {n for n, value in enumerate(values) if value and value[:10] == BATCH.crc64}
    assert seen | empty_batches == set(range(len(values)))

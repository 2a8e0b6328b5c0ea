"""The three framings: recognised by their first bytes, refused by name, and never an exception of another kind."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.avro_schemas import avro_schema
from schemas.framing import (
    Frame,
    FramingError,
    batch_datum,
    frame_confluent,
    frame_single_object,
    read_frame,
)
from tests.schemas.golden_files import Golden

#: Values that begin as one of the framings does and then hold anything, or nothing.
MARKED = st.tuples(st.sampled_from([b"\x00", b"\xc3\x01", b"{"]), st.binary(max_size=12)).map(b"".join)


@pytest.mark.parametrize(
    ("value", "code", "sentence"),
    [
        (None, "empty", "the message is empty: send one usage event, or a batch of them, as its value"),
        (b"", "empty", "the message is empty: send one usage event, or a batch of them, as its value"),
        (b"\x00\x00\x01", "truncated", "Confluent framing needs 5 header bytes, the message has 3"),
        (b"\xc3\x01abc", "truncated", "Avro single-object framing needs 10 header bytes, the message has 5"),
        (
            b"\xc3\x02",
            "unknown_framing",
            (
                "the message starts with 0xc3; accepted are 0x00 (Confluent), 0xc301 (Avro single-object) and '{' "
                '(JSON: one event, or several as {"events": [...]})'
            ),
        ),
        (
            b"[]",
            "unknown_framing",
            (
                "the message starts with 0x5b; accepted are 0x00 (Confluent), 0xc301 (Avro single-object) and '{' "
                '(JSON: one event, or several as {"events": [...]})'
            ),
        ),
    ],
)
def test_what_is_refused_and_why(value: bytes | None, code: str, sentence: str) -> None:
    with pytest.raises(FramingError) as refused:
        read_frame(value)
    assert (refused.value.code, str(refused.value)) == (code, sentence)


@pytest.mark.parametrize(
    ("marker", "header_bytes"), [(b"\x00", 5), (b"\xc3\x01", 10)], ids=["confluent", "single object"]
)
def test_a_header_is_whole_or_refused(marker: bytes, header_bytes: int) -> None:
    """Every length up to the header's: random bytes seldom end exactly there."""
    for length in range(len(marker), header_bytes):
        with pytest.raises(FramingError, match=f"the message has {length}$") as refused:
            read_frame(marker.ljust(length, b"\x07"))
        assert refused.value.code == "truncated"
    assert read_frame(marker.ljust(header_bytes, b"\x07")).body_at == header_bytes


@given(st.none() | st.binary(max_size=32) | MARKED)
@example(b"\xc3")
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_are_framed_or_refused(value: bytes | None) -> None:
    refused: FramingError | None = None
    try:
        frame = read_frame(value)
    except FramingError as error:
        refused = error
    else:
        assert value is not None
        assert 0 <= frame.body_at <= len(value)
    assert refused is None or (refused.code in ("empty", "unknown_framing", "truncated") and str(refused))


@given(st.integers(0, 2**32 - 1), st.binary())
def test_confluent_round_trip(schema_id: int, datum: bytes) -> None:
    framed = frame_confluent(schema_id, datum)
    assert read_frame(framed) == Frame("confluent", schema_id, 5)
    assert framed[5:] == datum


@given(st.binary(min_size=8, max_size=8), st.binary())
def test_single_object_round_trip(crc64: bytes, datum: bytes) -> None:
    framed = frame_single_object(crc64, datum)
    assert read_frame(framed) == Frame("single_object", crc64, 10)
    assert framed[10:] == datum


@pytest.mark.parametrize("events", [0, 1, 2, 63, 64, 8_191, 8_192], ids=lambda events: f"{events} events")
def test_a_batch_is_the_array_that_avro_writes(events: int) -> None:
    event = Golden("usage_event", 1, "single_object", "least").value[10:]
    joined = batch_datum([event] * events)

    schema = avro_schema("usage_event_batch", 1).parsed
    read: Any = fastavro.schemaless_reader(io.BytesIO(joined), schema, None)
    assert len(read["events"]) == events

    # fastavro writes an array as one block, which is the form that batch_datum promises.
    written = io.BytesIO()
    fastavro.schemaless_writer(written, schema, read)
    assert written.getvalue() == joined

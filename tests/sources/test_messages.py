"""Rows to messages: right partition, right order, nothing lost, nothing too large."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro_schemas import avro_schema
from schemas.decoding import Decoder
from schemas.framing import frame_single_object
from schemas.usage import USAGE_COLUMNS
from sources.messages import MAX_VALUE_BYTES, frame_rows, partition_of, partitions_of
from sources.reporter.usage_event import UsageEvent, encode_usage


def table_of(ids: list[str], **fields: object) -> pa.Table:
    events = [
        UsageEvent.model_validate({"event_id": one, "model": "gpt-4o", "input_tokens": n, "output_tokens": 1, **fields})
        for n, one in enumerate(ids)
    ]
    encoded = encode_usage(events, "test", [1_700_000_000_000_000 + n for n in range(len(ids))])
    values = [frame_single_object(avro_schema("usage_event").crc64, datum) for datum in encoded.datums]
    return Decoder("usage_event").decode(values).table


def test_partition_is_crc32_of_the_id_modulo_the_count() -> None:
    assert partition_of("évènement-1", 12) == zlib.crc32("évènement-1".encode()) % 12
    assert partitions_of(["a", "b"], 7).tolist() == [partition_of("a", 7), partition_of(b"b", 7)]


@given(
    ids=st.lists(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()), max_size=60, unique=True),
    batch=st.integers(1, 7),
    partitions=st.integers(1, 5),
)
def test_every_row_arrives_once_in_its_partition_and_in_order(ids: list[str], batch: int, partitions: int) -> None:
    table = table_of(ids)
    messages = list(frame_rows(table, partitions, batch))
    decoded = Decoder("usage_event").decode([message.value for message in messages])

    assert decoded.failures == []
    assert sum(message.events for message in messages) == len(ids)
    sent = {row["event_id"]: row for row in table.to_pylist()}
    rows = decoded.table.to_pylist()
    assert {row["event_id"]: row for row in rows} == sent
    for place, row in zip(decoded.message.tolist(), rows, strict=True):
        assert messages[place].partition == partition_of(row["event_id"], partitions)
    for partition in range(partitions):
        own = [row["input_tokens"] for place, row in zip(decoded.message.tolist(), rows, strict=True)
               if messages[place].partition == partition]  # fmt: skip
        assert own == sorted(own)
    for place, message in enumerate(messages):
        assert message.events <= batch
        first = rows[int(np.flatnonzero(decoded.message == place)[0])]
        assert message.key == first["event_id"].encode()


def test_a_batch_is_cut_before_it_is_too_large_for_the_broker() -> None:
    wide = table_of([f"id-{n}" for n in range(3_000)], prompt_hash="h" * 1_000)
    messages = list(frame_rows(wide, 1, batch=100_000))
    assert len(messages) > 1
    assert max(len(message.value or b"") for message in messages) <= MAX_VALUE_BYTES + 2_000
    assert sum(message.events for message in messages) == 3_000


@pytest.mark.parametrize("batch", [1, 50])
def test_no_rows_are_no_messages(batch: int) -> None:
    assert list(frame_rows(USAGE_COLUMNS.empty_table(), 4, batch)) == []


def test_a_resend_has_the_same_bytes() -> None:
    once, again = (list(frame_rows(table_of(["a"]), 4, 1)) for _ in range(2))
    assert once == again

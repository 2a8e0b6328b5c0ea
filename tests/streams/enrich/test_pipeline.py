"""The columns from end to end: repeats are equal, cuts do not matter, the ledger adds up, no user id gets through."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.arrow_ipc import from_ipc
from schemas.decoding import Decoder
from schemas.enriched import ENRICHED
from schemas.framing import frame_confluent
from schemas.positions import SourceRange
from schemas.pseudonym import hash_user
from schemas.rejections import Rejection
from schemas.tallies import TALLIES
from schemas.topics import Topics
from streams.enrich.batch import BatchResult, PartitionState, SourceBatch
from streams.enrich.outputs import Output, outputs
from streams.enrich.pipeline import Pipeline
from tests.streams.enrich.oracle import RECORDS
from tests.support.enrich import (
    CONFIG,
    KEY,
    NOON_US,
    Event,
    avro_batch,
    avro_value,
    event,
    fresh_states,
    json_value,
    rules_of,
    source_batch,
)

TOPICS = Topics("", 4, 3)
RULES = rules_of(*RECORDS)
LATENESS_US = CONFIG.lateness_s * 1_000_000


def pipeline() -> Pipeline:
    return Pipeline(CONFIG, "usage.events", TOPICS.tally_partitions, None)


def run(
    batch: SourceBatch, states: dict[int, PartitionState] | None = None, *, remember: bool = True
) -> tuple[BatchResult, list[Output]]:
    """Enrich a batch and remember what the loop would remember."""
    states = fresh_states(*{one.partition for one in batch.ranges}) if states is None else states
    result = pipeline().run(batch, RULES, states)
    for done in result.partitions if remember else ():
        state = states[done.range.partition]
        state.window.add(done.fingerprints)
        state.position, state.greatest_us = done.range.next, done.greatest_us
    return result, list(outputs(result, TOPICS, LATENESS_US, NOON_US))


def rejections_of(result: BatchResult) -> list[Rejection]:
    return [one for done in result.partitions for one in done.rejections]


EVENTS = st.lists(
    st.one_of(
        st.builds(
            lambda n, skew, team: avro_value(
                event(n, occurred_at=NOON_US + skew * 1_000_000, credential_id=f"key-{team}", user_id=f"person {team}")
            ),
            st.integers(0, 12),
            st.integers(-300, 300),
            st.integers(0, 5),
        ),
        st.builds(lambda n: json_value(event(n, input_tokens=-1)), st.integers(0, 12)),
        st.builds(
            lambda ns: avro_batch([event(n, latency_ms=5, status="ok" if n % 4 else "?") for n in ns]),
            st.lists(st.integers(0, 12), max_size=4),
        ),
        st.sampled_from([None, b"", b"nonsense", b'{"event_id":', b"\xc3\x01short"]),
    ),
    min_size=1,
    max_size=14,
)


def told(one: Output) -> tuple[Any, ...]:
    """An output as readers see it: Arrow may keep or leave out a column's bitmap of nulls where there are none."""
    schema = {TOPICS.enriched: ENRICHED, TOPICS.tallies: TALLIES}.get(one.topic)
    value = one.value if schema is None else from_ipc(one.value, schema).to_pylist()
    return one.topic, one.partition, one.key, one.headers, value


def rows_of(results: list[BatchResult]) -> list[dict[str, Any]]:
    return [row for result in results for done in result.partitions for row in done.block.to_pylist()]


def ledger_sums(results: list[BatchResult]) -> dict[str, int]:
    names = ("read", "enriched", "duplicates", "rejected", "late", "input_tokens", "cost_nanousd", "unattributed")
    return {n: sum(getattr(done.ledger, n) for one in results for done in one.partitions) for n in names}


def tally_sums(results: list[BatchResult]) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    sums: dict[tuple[Any, ...], tuple[int, int, int]] = {}
    key: tuple[Any, ...]
    for result in results:
        for (partition, home), table in result.tallies.items():
            for row in table.to_pylist():
                key = (partition, home, row["team_id"], row["minute"], row["budget_id"], row["period_start"])
                key += (row["source"], row["rejection_code"])
                before = sums.get(key, (0, 0, 0))
                sums[key] = (before[0] + row["calls"], before[1] + row["late"], before[2] + row["cost_nanousd"])
    return sums


@settings(max_examples=40)
@given(EVENTS, st.lists(st.integers(1, 14), max_size=4))
def test_where_batches_are_cut_does_not_matter(values: list[bytes | None], cuts: list[int]) -> None:
    append = [NOON_US + n * 1_000_000 for n in range(len(values))]
    whole, _ = run(source_batch(values, append_us=append))
    states = fresh_states(0)
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = [
        run(source_batch(values[start:stop], first=start, append_us=append[start:stop]), states)[0]
        for start, stop in pairwise(edges)
    ]
    assert rows_of(parts) == rows_of([whole])
    assert ledger_sums(parts) == ledger_sums([whole])
    assert tally_sums(parts) == tally_sums([whole])
    refused = [one for part in parts for one in rejections_of(part)]
    assert refused == rejections_of(whole)
    assert states[0].greatest_us == whole.partitions[0].greatest_us


@settings(max_examples=30)
@given(EVENTS)
def test_the_same_batch_again_writes_the_same_bytes_and_the_ledger_adds_up(values: list[bytes | None]) -> None:
    first, written = run(source_batch(values), remember=False)
    _, again = run(source_batch(values), remember=False)
    assert again == written
    [done] = first.partitions
    ledger = done.ledger
    assert ledger.read == ledger.enriched + ledger.duplicates + ledger.rejected
    assert ledger.rejected == len(done.rejections)
    assert ledger.enriched == done.block.num_rows == len(done.fingerprints)
    positions = [(row["src_offset"], row["src_index"]) for row in done.block.to_pylist()]
    positions += [(one.offset, one.index) for one in done.rejections]
    assert len(positions) == len(set(positions))


def test_no_user_id_in_any_output() -> None:
    secret = "ada.lovelace@example.org"
    _, written = run(source_batch([avro_value(event(n, user_id=secret)) for n in range(3)]))
    for one in written:
        assert secret.encode() not in one.value
        told_in_headers = [value.encode() if isinstance(value, str) else value or b"" for _, value in one.headers]
        assert all(secret.encode() not in value for value in told_in_headers)
    assert any(hash_user(KEY, secret).encode() in one.value for one in written)


def test_a_resend_is_a_duplicate_and_another_event_under_its_id_a_conflict() -> None:
    states = fresh_states(0)
    run(source_batch([avro_value(event(1))]), states)
    again = [avro_value(event(1)), avro_value(event(1, output_tokens=8)), avro_value(event(1, source="other"))]
    result, _ = run(source_batch(again, first=1), states)
    ledger = result.partitions[0].ledger
    assert (ledger.read, ledger.enriched, ledger.duplicates, ledger.rejected) == (3, 1, 1, 1)
    [conflict] = rejections_of(result)
    assert (conflict.code, conflict.offset, conflict.event_id) == ("id_conflict", 2, "e1")


def test_a_refused_event_claims_no_id() -> None:
    states = fresh_states(0)
    run(source_batch([avro_value(event(1, input_tokens=-1))]), states)
    result, _ = run(source_batch([avro_value(event(1))], first=1), states)
    assert result.partitions[0].ledger.enriched == 1


def test_refused_events_of_a_batch_can_be_mended_and_sent_again() -> None:
    full = event(2, status="?", tags={"env": "x"}, meters={"images": 3}, user_id="é😀", latency_ms=7)
    values = [avro_value(event(0)), avro_batch([event(1), full, event(3, model="")])]
    result, _ = run(source_batch(values, first=10))
    refused = rejections_of(result)
    assert [(one.offset, one.index, one.code) for one in refused] == [(11, 1, "bad_value"), (11, 2, "bad_value")]
    mended = json.loads(base64.b64decode(refused[0].raw)) | {"status": "ok"}
    again, _ = run(source_batch([json_value(mended)], first=12))
    assert again.partitions[0].ledger.enriched == 1
    direct, _ = run(source_batch([avro_value(full | {"status": "ok"})], first=12))
    assert rows_of([again]) == rows_of([direct])


def test_bytes_that_are_no_text_keep_their_neighbours_and_are_not_multiplied() -> None:
    marked = event(1, workflow="bad\u00ff")
    value = avro_batch([event(0), marked, event(2, workflow="bad\u00ff")]).replace("\u00ff".encode(), b"\xff\xfe")
    result, _ = run(source_batch([value]))
    refused = rejections_of(result)
    assert [(one.index, one.code) for one in refused] == [(1, "not_utf8"), (2, "not_utf8")]
    assert json.loads(base64.b64decode(refused[0].raw))["workflow"] == "bad\ufffd\ufffd"
    assert result.partitions[0].ledger.enriched == 1


def test_a_json_batch_of_one_good_and_one_unreadable_event_keeps_each_its_own_raw() -> None:
    value = json.dumps({"events": [event(0, status="?"), event(1) | {"input_tokens": "many"}]}).encode()
    result, _ = run(source_batch([value]))
    refused = rejections_of(result)
    assert [(one.index, one.code) for one in refused] == [(0, "bad_value"), (1, "bad_type")]
    assert [json.loads(base64.b64decode(one.raw))["event_id"] for one in refused] == ["e0", "e1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": "x" * 600_000},
        {"source": "é" * 300_000},
        {"stage": "x" * 600_000},
        {"tags": {"k" * 600_000: "v"}},
        {"meters": {"k" * 600_000: 1}},
        {"meters": {"k" * 600_000: "no number"}},
    ],
)
@pytest.mark.parametrize("framing", ["json", "avro"])
def test_no_event_however_long_makes_a_message_that_brokers_refuse(fields: Event, framing: str) -> None:
    if framing == "avro" and "no number" in str(fields):
        return
    one = event(0, **fields)
    result, written = run(
        source_batch([json_value(one) if framing == "json" else avro_value(one), avro_value(event(1))])
    )
    assert result.partitions[0].ledger.rejected == 1
    assert result.partitions[0].ledger.enriched == 1
    assert all(len(output.value) <= 900_000 for output in written)


def test_the_events_of_messages_without_a_key_are_counted() -> None:
    """All of a batch, and what cannot be read."""
    values = [avro_value(event(0)), avro_batch([event(n) for n in range(1, 4)]), b"nonsense", avro_value(event(4))]
    batch = source_batch(values)
    assert run(batch)[0].unkeyed == 0
    assert run(replace(batch, unkeyed=np.array([1, 2])))[0].unkeyed == 4


def test_messages_of_unknown_writers_are_refused_whole() -> None:
    result, _ = run(source_batch([frame_confluent(7, b"x"), None, avro_value(event(0))]))
    assert [(one.offset, one.code) for one in rejections_of(result)] == [(0, "unknown_schema"), (1, "empty")]


def test_partitions_of_one_batch_stand_for_themselves() -> None:
    """A repeat reads one partition alone, so its result may not depend on the others in the batch."""
    parts = [source_batch([avro_value(event(n + 10 * p)) for n in range(4)], partition=p, first=p) for p in range(3)]
    joined = SourceBatch(
        [value for part in parts for value in part.values],
        np.concatenate([part.partition for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.append_us for part in parts]),
        tuple(SourceRange(p, p, p + 4) for p in range(3)),
    )
    _, together = run(joined, fresh_states(0, 1, 2))
    alone = [output for part in parts for output in run(part)[1]]
    assert [told(one) for one in together] == [told(one) for one in alone]


def test_decoder_alone_gives_rows_in_source_order() -> None:
    values = [avro_value(event(0)), json_value(event(1)), avro_batch([event(2), event(3)]), avro_value(event(4))]
    table = Decoder("usage_event").decode(values).table
    assert table.column("event_id").to_pylist() == ["e0", "e1", "e2", "e3", "e4"]


def test_a_refused_json_event_keeps_the_name_of_its_sender() -> None:
    value = b'{"event_id": "e-1", "source": "shell", "occurred_at": 1, "model": "gpt-5", "input_tokens": 1.5}'
    [rejection] = rejections_of(run(source_batch([value]))[0])
    assert (rejection.code, rejection.source, rejection.event_id) == ("bad_type", "shell", "e-1")

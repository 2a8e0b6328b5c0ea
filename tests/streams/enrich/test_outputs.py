"""The messages of a batch: sizes, headers, one for every tally partition; heartbeats; the fingerprint record."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.arrow_ipc import MAX_VALUE_BYTES, from_ipc
from schemas.enriched import ENRICHED
from schemas.positions import PositionError, read_ledger, read_mark, read_range, read_version
from schemas.tallies import TALLIES
from schemas.topics import Topics
from streams.enrich.dedupe import Fingerprints
from streams.enrich.fingerprint_log import fingerprint_value, fingerprint_values, read_fingerprints
from streams.enrich.hashing import hash_integers
from streams.enrich.outputs import heartbeats, outputs
from streams.enrich.pipeline import Pipeline
from tests.streams.enrich.oracle import RECORDS
from tests.support.enrich import CONFIG, NOON_US, avro_value, event, fresh_states, rules_of, source_batch

TOPICS = Topics("", 4, 6)
LATENESS_US = 120_000_000
SENT_US = NOON_US + 5_000_000


@pytest.mark.parametrize("count", [1, 9_000])
def test_messages_of_a_batch(count: int) -> None:
    noise = random.Random(7)
    values = [avro_value(event(n, session_id=noise.randbytes(200).hex())) for n in range(count)]
    values.append(b"nonsense")
    result = Pipeline(CONFIG, "usage.events", 6, None).run(
        source_batch(values, partition=2, first=50), rules_of(*RECORDS, position=9), fresh_states(2)
    )
    written = list(outputs(result, TOPICS, LATENESS_US, SENT_US))
    for one in written:
        assert len(one.value) <= MAX_VALUE_BYTES
        read_version(one.headers)
    assert written[0].topic == TOPICS.fingerprints

    blocks = [one for one in written if one.topic == TOPICS.enriched]
    assert {one.partition for one in blocks} == {2}
    places = [read_range(one.headers) for one in blocks]
    assert [place.part for place in places] == list(range(len(blocks)))
    assert {(place.first, place.next, place.parts) for place in places} == {(50, 51 + count, len(blocks))}
    assert sum(from_ipc(one.value, ENRICHED).num_rows for one in blocks) == count
    assert read_ledger(blocks[0].headers).enriched == count
    assert all("sg-ledger" not in dict(one.headers) for one in blocks[1:])
    assert (len(blocks) > 1) == (count > 1_000)

    tallies = [one for one in written if one.topic == TOPICS.tallies]
    assert Counter(one.partition for one in tallies) == Counter(range(6))
    newest = NOON_US + (count - 1) * 1_000
    for one in tallies:
        mark = read_mark(one.headers)
        assert (mark.kind, mark.max_event_us, mark.control, mark.sent_us) == ("range", newest, 9, SENT_US)
        assert mark.watermark_us == newest - LATENESS_US
    rows = [row for one in tallies for row in from_ipc(one.value, TALLIES).to_pylist()]
    assert sum(row["calls"] for row in rows if row["budget_id"] is None and row["source"] is None) == count
    sources = [(row["source"], row["rejection_code"], row["calls"]) for row in rows if row["source"] is not None]
    assert sorted(sources) == [("(unreadable)", "unknown_framing", 1), ("gateway", None, count)]

    [refused] = [one for one in written if one.topic == TOPICS.rejected]
    assert refused.key == f"2:{50 + count}:0".encode()


def test_a_range_without_an_accepted_event_is_still_told() -> None:
    result = Pipeline(CONFIG, "usage.events", 6, None).run(source_batch([b"nonsense"]), rules_of(), fresh_states())
    written = list(outputs(result, TOPICS, LATENESS_US, SENT_US))
    assert Counter(one.topic for one in written if one.value == b"") == Counter(
        {TOPICS.fingerprints: 1, TOPICS.enriched: 1, TOPICS.tallies: 5}
    )
    ledger = next(read_ledger(one.headers) for one in written if one.topic == TOPICS.enriched)
    assert (ledger.read, ledger.rejected, ledger.min_event_us, ledger.max_event_us) == (1, 1, None, None)


def test_heartbeats_say_idle_at_the_position_to_every_tally_partition() -> None:
    state = fresh_states(3)[3]
    state.position, state.greatest_us = 77, NOON_US
    beats = list(heartbeats(3, state, 5, TOPICS, LATENESS_US, SENT_US))
    assert [one.partition for one in beats] == list(range(6))
    for one in beats:
        place, mark = read_range(one.headers), read_mark(one.headers)
        assert (place.partition, place.first, place.next) == (3, 77, 77)
        assert (mark.kind, mark.watermark_us, mark.control) == ("idle", NOON_US - LATENESS_US, 5)
        assert mark.sent_us == SENT_US
        assert one.value == b""


@given(st.lists(st.integers(0, 2**62), max_size=20))
def test_fingerprints_come_back(numbers: list[int]) -> None:
    rows = Fingerprints(hash_integers(np.asarray(numbers, np.int64)), hash_integers(np.asarray(numbers, np.int64) + 1))
    back = read_fingerprints(fingerprint_value(rows))
    assert back.ids.tolist() == rows.ids.tolist()
    assert back.notes.tolist() == rows.notes.tolist()
    assert len(fingerprint_value(rows)) == 16 * len(numbers)


def test_a_record_that_holds_no_fingerprints_is_refused_by_its_place() -> None:
    with pytest.raises(PositionError, match=r"f\[3\] offset 8: a value of 24 bytes"):
        read_fingerprints(b"x" * 24, "f[3] offset 8")
    assert len(read_fingerprints(None)) == 0


def test_the_fingerprints_of_a_great_batch_fill_several_records() -> None:
    """Some thousand messages of two hundred small events each are one batch after an outage."""
    numbers = hash_integers(np.arange(130_000))
    values = fingerprint_values(Fingerprints(numbers, numbers))
    assert max(map(len, values)) <= MAX_VALUE_BYTES
    assert np.concatenate([read_fingerprints(value).ids for value in values]).tolist() == numbers.tolist()
    assert fingerprint_values(Fingerprints(numbers[:0], numbers[:0])) == [b""]

"""When a worker that refuses too much stops: schemas, every source, never one sender's rubbish beside good traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from runtime.connection import KafkaConnection
from schemas.framing import frame_confluent
from schemas.topics import Topics
from streams.enrich.batch import BatchResult
from streams.enrich.pipeline import Pipeline
from streams.enrich.reject_limit import RejectionLimit, RejectPolicy, RejectWatch
from tests.support.enrich import (
    CONFIG,
    avro_value,
    committed_offsets,
    enrich_all,
    event,
    fresh_states,
    make_topics,
    new_enricher,
    read_outputs,
    rules_of,
    run_until,
    send,
    short_session,
    source_batch,
)

POLICY = RejectPolicy(0.5, 100, 40)
RULES = rules_of()
Values = Sequence[bytes | None]


def good(count: int, source: str = "gateway") -> list[bytes | None]:
    return [avro_value(event(n, source=source)) for n in range(count)]


def bad(count: int, source: str = "gateway") -> list[bytes | None]:
    return [avro_value(event(n, source=source, input_tokens=-1)) for n in range(count)]


def unknown(count: int) -> list[bytes | None]:
    return [frame_confluent(7, b"x")] * count


def result_of(values: Values) -> BatchResult:
    return Pipeline(CONFIG, "usage.events", 4, None).run(source_batch(values), RULES, fresh_states())


def stopped_at(batches: Sequence[Values], policy: RejectPolicy = POLICY, **more: Any) -> tuple[int, str] | None:
    """Which batch a fresh worker stops at, and what it says."""
    watch = RejectWatch(policy)
    for number, values in enumerate(batches):
        try:
            watch.look(result_of(values), **more)
        except RejectionLimit as limit:
            return number, str(limit)
    return None


def test_a_worker_that_refuses_everything_stops_by_the_run() -> None:
    stop = stopped_at([bad(20)] * 5)
    assert stop is not None
    assert stop[0] == 1
    for told in (
        "40 of the last 40 events are refused (negative_count 40; from gateway)",
        "usage.events[0] offset 0: input_tokens is -1",
        "1 sources fail and 0 do well",
        "STREAMGAUGE_ENRICH__REJECT_LIMIT_SHARE=0",
        "repeated at the next start",
    ):
        assert told in stop[1]


def test_schemas_that_fail_beside_good_traffic_stop_by_the_share() -> None:
    stop = stopped_at([[*good(20), *unknown(30)]] * 4)
    assert stop is not None
    assert stop[0] == 1
    assert "unknown_schema 60" in stop[1]
    assert "no schema registry is configured" in stop[1]


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([[*good(20, "a"), *bad(60, "b")]] * 6, id="one source floods"),
        pytest.param([good(5, "a"), *[bad(50, "b")] * 6], id="only the bad source is awake now"),
        pytest.param([[*good(20, "a"), *[b"rubbish"] * 60]] * 6, id="rubbish without a name"),
        pytest.param([[*good(60), *unknown(40)]] * 6, id="schemas fail below the share"),
        pytest.param([[*good(1), *bad(39)], bad(39), good(1)], id="too few events"),
        pytest.param([good(100)] * 3, id="nothing is refused"),
    ],
)
def test_a_senders_mistake_stops_nobody(batches: Sequence[Values]) -> None:
    assert stopped_at(batches) is None


def test_more_sources_that_fail_than_do_well_stop() -> None:
    values = [*good(10, "a"), *bad(20, "b"), *bad(20, "c")]
    stop = stopped_at([values] * 4)
    assert stop is not None
    assert "2 sources fail and 1 do well" in stop[1]
    assert "from b, c" in stop[1]


def test_zero_switches_each_limit_off() -> None:
    assert stopped_at([bad(200)] * 4, RejectPolicy(0, 100, 0)) is None
    assert stopped_at([bad(200)] * 4, RejectPolicy(0, 100, 40)) is not None
    assert stopped_at([bad(200)] * 4, RejectPolicy(1.0, 100, 0)) is not None


def test_an_old_batch_leaves_the_share() -> None:
    mixed = [*good(60, "a"), *unknown(60)]
    assert stopped_at([good(500, "a"), mixed, good(500, "a"), mixed], RejectPolicy(0.5, 200, 0)) is None
    assert stopped_at([good(500, "a"), *[mixed] * 3], RejectPolicy(0.5, 200, 0)) is not None


def test_the_repeat_of_a_stop_needs_no_minimum() -> None:
    assert stopped_at([unknown(3)]) is None
    assert stopped_at([unknown(3)], repeats_a_stop=True) is not None
    assert stopped_at([unknown(3)], RejectPolicy(0, 1, 0), repeats_a_stop=True) is None
    assert stopped_at([good(3)], repeats_a_stop=True) is None


@pytest.mark.kafka
def test_nothing_is_written_of_the_batch_that_stops_nor_by_the_next_starts(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix, events=1)
    send(connection, topics.events, [(0, b"k", value) for value in [*good(30), *unknown(60)]])
    config = replace(CONFIG, reject_limit_events=60, reject_limit_run=0)

    stopped_by(connection, topics, config)
    before = read_outputs(connection, topics)
    assert (len(before.rows), len(before.rejections)) == (30, 20)
    [(offset, metadata)] = committed_offsets(connection, topics).values()
    assert (offset, metadata) == (50, "next=75,control=0,stopped")
    # The batch alone has fewer events than the limit asks for.
    stopped_by(connection, topics, config)
    assert len(read_outputs(connection, topics).rejections) == 20

    enrich_all(connection, topics, config=replace(config, reject_limit_share=0.0))
    after = read_outputs(connection, topics)
    assert (len(after.rows), len(after.rejections)) == (30, 60)
    assert sum(row.read for row in after.ledger) == 90


def stopped_by(connection: KafkaConnection, topics: Topics, config: Any) -> None:
    worker = new_enricher(connection, topics, batch_messages=25, config=config)
    try:
        with pytest.raises(RejectionLimit, match="unknown_schema"):
            run_until(lambda: False, worker)
    finally:
        worker.close()

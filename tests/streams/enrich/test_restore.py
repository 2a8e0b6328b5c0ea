"""A committed offset that somebody altered: the worker ends with the way back, and nothing is lost or doubled there."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.admin import create_topics
from runtime.connection import KafkaConnection
from runtime.recovery import set_offset
from schemas.topics import Topics
from streams.enrich.batch import PartitionState
from streams.enrich.dedupe import Window
from streams.enrich.fingerprint_log import FingerprintsMissing
from streams.enrich.partition_log import OffsetsGone
from streams.enrich.restore import still_true
from tests.support.enrich import (
    avro_value,
    enrich_all,
    event,
    make_topics,
    new_enricher,
    read_outputs,
    run_until,
    send,
    short_session,
)


def send_numbers(connection: KafkaConnection, topics: Topics, numbers: range) -> None:
    send(connection, topics.events, [(0, b"k", avro_value(event(n))) for n in numbers])


def set_to(connection: KafkaConnection, topics: Topics, offset: int) -> None:
    consumer = Consumer(connection.consumer(f"{topics.prefix}enrich"))
    consumer.commit(offsets=[TopicPartition(topics.events, 0, offset)], asynchronous=False)
    consumer.close()


def refused(connection: KafkaConnection, topics: Topics) -> Exception:
    """What a worker says that starts now."""
    worker = new_enricher(connection, topics)
    try:
        with pytest.raises((FingerprintsMissing, OffsetsGone)) as raised:
            run_until(lambda: False, worker)
    finally:
        worker.close()
    return raised.value


@pytest.mark.kafka
def test_an_altered_offset_is_refused_with_the_place_where_work_ended(kafka_bootstrap: str, topic_prefix: str) -> None:
    connection = short_session(kafka_bootstrap)
    topics = make_topics(connection, topic_prefix, events=1)
    send_numbers(connection, topics, range(30))
    enrich_all(connection, topics, batch_messages=10)
    # Resends come before and behind the place; beyond the end, within a batch, at the beginning.
    send_numbers(connection, topics, range(25, 35))
    for offset in (99, 15, 0):
        set_to(connection, topics, offset)
        said = str(refused(connection, topics))
        assert f"the committed offset is {offset}, but no batch ended there" in said
        assert "the fingerprint log says that it was enriched up to 30" in said
        assert said.endswith("run: " + set_offset("enrich", topics.events, 0, 30))

    set_to(connection, topics, 30)
    enrich_all(connection, topics)
    seen = read_outputs(connection, topics)
    assert sorted(row["event_id"] for row in seen.rows) == sorted(f"e{n}" for n in range(35))
    assert sum(row.duplicates for row in seen.ledger) == 5
    assert seen.skipped == 0

    # The topic is made again: where the log's newest range ended, there are other events now.
    admin = AdminClient(connection.librdkafka())
    admin.delete_topics([topics.events])[topics.events].result()
    run_until(lambda: topics.events not in admin.list_topics().topics)
    create_topics(connection, topics, 1)
    send_numbers(connection, topics, range(100, 150))
    set_to(connection, topics, 99)
    gone = refused(connection, topics)
    assert isinstance(gone, OffsetsGone)
    assert str(gone).endswith("run: " + set_offset("enrich", topics.events, 0, "earliest"))


def test_a_state_is_kept_where_its_work_is_the_newest() -> None:
    held = PartitionState(20, Window(1, 1))

    def committed(offset: int, metadata: str | None) -> TopicPartition:
        return TopicPartition("t", 0, offset, metadata=metadata) if metadata else TopicPartition("t", 0, offset)

    assert still_true(held, committed(20, None))
    # Its last batch was finished, and nobody has said so yet.
    assert still_true(held, committed(10, "next=20,control=0"))
    assert not still_true(held, committed(20, "next=25,control=0"))
    assert not still_true(held, committed(25, None))
    assert not still_true(held, committed(10, "next=15,control=0"))
    held.intended = 30
    assert not still_true(held, committed(20, None))

"""In: a plan. Out: its changes on `governance.control`, in one transaction: readers see all of them or none."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.connection import KafkaConnection
from schemas.control.records import dump_record
from schemas.topics import Topics
from streamgauge.apply.plan import Plan

_TIMEOUT_S: Final = 30.0


def publish_plan(plan: Plan, connection: KafkaConnection, topics: Topics) -> None:
    """Publish all changes, or none. KafkaException when the broker refuses.

    1. begin: fences another apply that is under way; it fails, this one goes on.
    2. produce every change.
    3. commit. A crash before this leaves the control log as it was; the next apply aborts what is open.
    """
    if not plan.changes:
        return
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        connection.librdkafka(transactional_id=f"{topics.prefix}streamgauge.apply", transaction_timeout_ms=60_000)
        # Without a callback a fatal error surfaces as SystemError in whatever call comes next.
        # Level 4 leaves out a note of librdkafka's about every ended producer.
        | {"error_cb": lambda error: failures.append(error) if error.fatal() else None}
    )
    producer.init_transactions(_TIMEOUT_S)
    producer.begin_transaction()
    try:
        for change in plan.changes:
            value = None if change.record is None else dump_record(change.record)
            producer.produce(topics.control, key=change.key.encode(), value=value, partition=0, on_delivery=delivered)
            producer.poll(0)
        producer.flush(_TIMEOUT_S)
        if failures:
            raise KafkaException(failures[0])
        producer.commit_transaction(_TIMEOUT_S)
    except BaseException:
        # Where this fails too, the broker aborts it at its timeout, or the next apply does; the first error is the
        # news.
        with suppress(KafkaException):
            producer.abort_transaction(_TIMEOUT_S)
        raise

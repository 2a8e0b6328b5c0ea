"""In: a plan. Out: its changes on `governance.control`, in one transaction: readers see all of them or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from runtime.connection import KafkaConnection
from runtime.control_log import LAST_OF_TRANSACTION
from schemas.control.records import dump_record
from schemas.topics import Topics
from streamgauge.apply.plan import Plan

_TIMEOUT_S: Final = 30.0
_FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Overtaken(RuntimeError):
    """Somebody else published control documents at the same moment. Nothing of this was published."""

    def __init__(self) -> None:
        super().__init__(
            "another apply, or a decision by command, was published at the same moment, so nothing of this one was: "
            "run it again"
        )


def publish_plan(
    plan: Plan, connection: KafkaConnection, topics: Topics, *, check: Callable[[], None] | None = None
) -> None:
    """Publish all changes, or none. KafkaException when the broker refuses; Overtaken when another writer of control
    documents began after this one.

    1. begin: fences whoever is under way; they fail at step 4, this one goes on.
    2. check: whether what the plan was made against still holds. From here on nobody else can publish without fencing
       this one, so what it sees stands until step 4. Whatever it raises ends this.
    3. produce every change.
    4. commit. A crash before this leaves the control log as it was; the next writer aborts what is open.
    """
    if not plan.changes:
        return
    producer = Producer(
        connection.librdkafka(transactional_id=f"{topics.prefix}streamgauge.apply", transaction_timeout_ms=60_000)
        # Without a callback a fatal error surfaces as SystemError in whatever call comes next; commit raises it too.
        | {"error_cb": lambda _error: None}
    )
    producer.init_transactions(_TIMEOUT_S)
    try:
        producer.begin_transaction()
        if check is not None:
            check()
        for number, change in enumerate(plan.changes, start=1):
            value = None if change.record is None else dump_record(change.record)
            # Tells a reader that it has all of it: one transaction may take it several fetches.
            last = number == len(plan.changes)
            _produce(producer, topics.control, change.key.encode(), value, [(LAST_OF_TRANSACTION, b"")] if last else [])
        # Flushes, and raises what went wrong with any message: a delivery callback would let a fatal error escape.
        producer.commit_transaction(_TIMEOUT_S)
    except KafkaException as error:
        _abort(producer)
        if error.args[0].code() in _FENCED:
            raise Overtaken from error
        raise
    except BaseException:
        _abort(producer)
        raise
    finally:
        # An error's traceback would keep the client, and its connections, for as long as somebody keeps the error.
        del producer


def _produce(
    producer: Producer, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, str | bytes | None]]
) -> None:
    while True:
        try:
            return producer.produce(topic, key=key, value=value, partition=0, headers=headers)
        except BufferError:
            producer.poll(0.1)


def _abort(producer: Producer) -> None:
    # Where this fails too, the broker aborts it at its timeout, or the next writer does; the first error is the news.
    with suppress(KafkaException):
        producer.abort_transaction(_TIMEOUT_S)

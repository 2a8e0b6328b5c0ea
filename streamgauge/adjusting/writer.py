"""In: one adjustment. Out: its messages on `usage.adjustments`, in one Kafka transaction: readers see all or none.

A command that corrects takes four steps:

1. open the writer: `init_transactions` under the one transactional id of all such commands ends whatever an earlier
   command left open, and fences one that still runs: its commit fails;
2. wait until the sink has written every adjustment before (`written`), so that ClickHouse tells what is corrected
   already;
3. ask ClickHouse what is still to correct;
4. publish. A crash before the commit leaves nothing, a crash after it everything, and another command that began in
   between has fenced this one: so nothing is corrected twice.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Producer

from runtime.connection import KafkaConnection
from schemas.adjustments import AdjustmentForm, AdjustmentKind, AdjustmentPart
from schemas.arrow_ipc import to_parts
from schemas.positions import version_header
from schemas.topics import Topics

_TIMEOUT_S: Final = 60.0
_FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)


class Fenced(RuntimeError):
    """Another correcting command began after this one; the adjustment at hand was not written."""

    def __init__(self) -> None:
        super().__init__(
            "another command that writes adjustments was started after this one, and goes on; this one stops, and what "
            "it has not told as written is not. Wait for the other to end, then run this again"
        )


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What one adjustment is, whatever rows it has. `made_at` is aware."""

    adjustment_id: str
    kind: AdjustmentKind
    reason: str
    made_by: str
    made_at: datetime

    @classmethod
    def new(cls, kind: AdjustmentKind, *, reason: str, made_by: str, made_at: datetime) -> Self:
        """With an id that no other has."""
        stamp = made_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
        return cls(f"{kind}-{stamp}-{secrets.token_hex(4)}", kind, reason, made_by, made_at)


class AdjustmentWriter:
    """Writes adjustments, one transaction each. Opening it fences whoever has one open. Not thread-safe."""

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        """Raises KafkaException when the broker does not answer."""
        self.connection, self.topics = connection, topics
        self._is_fenced = False
        # No delivery callbacks and no flush: with them the client raises what cannot be caught when it is fenced. The
        # commit waits for every message, and says what failed.
        self._producer = Producer(
            connection.librdkafka(
                transactional_id=f"{topics.prefix}streamgauge.adjustments", transaction_timeout_ms=60_000
            )
            | {"log_level": 3, "error_cb": lambda _: None}
        )
        self._producer.init_transactions(_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """End what is open. A fenced client cannot: whoever fenced it has."""
        if not self._is_fenced:
            self._producer.close()

    def publish(self, adjustment: Adjustment, events: pa.Table, tallies: pa.Table) -> None:
        """Write all of it, or nothing: `events` as ADJUSTED_EVENTS (at least one row), `tallies` as TALLIES.

        Raises Fenced, and KafkaException when the broker refuses.
        """
        if events.num_rows == 0:
            raise ValueError("an adjustment corrects at least one event: there is none in this one")
        try:
            self._producer.begin_transaction()
            # The events last: whoever finds the last message of the topic in ClickHouse knows that all is there.
            self._send(adjustment, "tallies", tallies)
            self._send(adjustment, "events", events)
            self._commit()
        except KafkaException as error:
            with suppress(KafkaException):
                self._producer.abort_transaction(_TIMEOUT_S)
            if _is_fence(error.args[0]):
                self._is_fenced = True
                raise Fenced from error
            raise

    def _commit(self) -> None:
        self._producer.commit_transaction(_TIMEOUT_S)

    def _send(self, adjustment: Adjustment, form: AdjustmentForm, table: pa.Table) -> None:
        values = to_parts(table)
        for number, value in enumerate(values):
            part = AdjustmentPart(
                adjustment.adjustment_id,
                adjustment.kind,
                form,
                number,
                len(values),
                adjustment.reason,
                adjustment.made_by,
                adjustment.made_at,
            )
            while True:
                try:
                    self._producer.produce(
                        self.topics.adjustments,
                        value,
                        key=adjustment.adjustment_id.encode(),
                        partition=0,
                        headers=[version_header(), part.header()],
                    )
                    break
                except BufferError:
                    self._producer.poll(0.2)


def _is_fence(error: KafkaError) -> bool:
    return error.code() in _FENCED or error.fatal()

"""In: settings. Out: what the agents ask of ClickHouse while they run: the rooms put together.

An answer is given only when it is exact: when ClickHouse has everything up to the offsets of the question, and nothing
stands in the way. Everything else is NotYet, with what is waited for and what to do.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from runtime.clock import to_datetime
from runtime.connection import KafkaConnection
from runtime.watermarks import is_transient, log_bounds
from schemas.adjustments import read_adjustment
from schemas.positions import PositionError
from sinks.recovery.bases import AHEAD_US, BaseSums, Scoped
from streamgauge.agents_asking import Asking, listed, require_rows
from streams.agents.history import BaseQuestion, NotYet

_READ_S: Final = 20.0
_MINUTE_US: Final = 60_000_000
#: Messages looked at from the end first; a transaction ends with event messages, so one is there as a rule.
_TAIL: Final = 8


class AgentsHistory:
    """Honours `streams.agents.history.BaseHistory`. Connects at the first question. Not thread-safe."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        #: By offset of usage.adjustments: id and offset of the last event message before it, None: there is none.
        self._last: tuple[int, tuple[str, int] | None] | None = None

    def bases(self, question: BaseQuestion) -> list[pa.Table]:
        """1 ClickHouse has all rows; 2 all new prices; 3 nothing was dropped or refused; 4 sum; 5 no resend is open.

        5 comes last, so that a row which another delivery of the event replaced meanwhile is noticed.
        """
        with self._asking as (database, log):
            sums = BaseSums(database, log, self._asking.clock)
            require_rows(sums, question.before)  # 1
            self._require_adjustments(sums, question.adjusted)  # 2
            self._require_whole(sums, question)  # 3
            scoped = [Scoped(one.selectors, one.first_minute) for one in question.wanted]
            answer = sums.sums(scoped, question.before, question.adjusted)  # 4
            self._require_even(sums, question)  # 5
        return answer

    def _require_adjustments(self, sums: BaseSums, adjusted: int) -> None:
        if adjusted <= 0:
            return
        if self._last is None or self._last[0] != adjusted:
            self._last = (adjusted, _last_before(self._asking.connection, self._asking.topics.adjustments, adjusted))
        last = self._last[1]
        if last is not None and not sums.is_written(*last):
            raise NotYet(f"ClickHouse has not got adjustment {last[0]} yet; waiting for the sink")

    def _require_whole(self, sums: BaseSums, question: BaseQuestion) -> None:
        needed_us = min(one.needed_minute for one in question.wanted) * _MINUTE_US
        kept_us = sums.kept_since_us()
        if kept_us is not None and kept_us > needed_us - AHEAD_US:
            raise NotYet(
                f"ClickHouse keeps events or its ledger since {to_datetime(kept_us):%Y-%m-%d} only, and a period began "
                f"on {to_datetime(needed_us):%Y-%m-%d} (see retention.events_days and retention.ledger_days)",
                renew=True,
            )
        spans = sums.ledger(question.before, needed_us // _MINUTE_US)
        if holes := [span.hole for span in spans if span.hole is not None]:
            raise NotYet(f"ClickHouse does not have {listed(holes)}: run `streamgauge reconcile`", renew=True)
        if refused := sum(span.refused for span in spans):
            raise NotYet(
                f"ClickHouse refused {refused:,} events of this time for their content (usage_rejected, "
                "refused_by_clickhouse)",
                renew=True,
            )

    def _require_even(self, sums: BaseSums, question: BaseQuestion) -> None:
        found = sums.uneven(question.before, min(one.since for one in question.wanted), question.adjusted)
        if found:
            named = [f"{abs(n):,} of partition {p}, offsets {first} to {after}" for p, first, after, n in found]
            raise NotYet(
                f"resends are not corrected yet ({listed(named)}): run `streamgauge reconcile --correct`", renew=True
            )

    def close(self) -> None:
        """Give back the connection."""
        self._asking.close()


def _last_before(connection: KafkaConnection, topic: str, end: int) -> tuple[str, int] | None:
    """Id and offset of the last message of form `events` before offset `end`; None where there is none."""
    # log_level: the agents' own reader of this topic says it when Kafka is away.
    group = f"{connection.client_id}.adjustments.unused"
    consumer = Consumer(
        connection.consumer(group, isolation_level="read_committed", enable_partition_eof=True, log_level=2)
    )
    try:
        low, _ = log_bounds(consumer, topic, 0)
        back = _TAIL
        while True:
            start = max(low, end - back)
            found = _last_events(consumer, topic, start, end)
            if found is not None or start <= low:
                return found
            back *= 8
    finally:
        consumer.close()


def _last_events(consumer: Consumer, topic: str, start: int, end: int) -> tuple[str, int] | None:
    """NotYet when Kafka does not give them in time."""
    consumer.assign([TopicPartition(topic, 0, start)])
    found: tuple[str, int] | None = None
    waited = 0.0
    while waited < _READ_S:
        messages = consumer.consume(1_000, 0.1)
        for message in messages:
            error, offset = message.error(), message.offset() or 0
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return found
            if error is not None and not is_transient(error):
                raise KafkaException(error)
            if error is None and offset >= end:
                return found
            if error is None:
                try:
                    part = read_adjustment(message.headers())
                except PositionError:
                    # A foreigner's message is no adjustment; shards pass over it as well, and say so.
                    continue
                if part.form == "events":
                    found = (part.adjustment_id, offset)
        waited = 0.0 if messages else waited + 0.1
    raise NotYet(f"Kafka has not given {topic} from offset {start} to {end} within {_READ_S:.0f} s")

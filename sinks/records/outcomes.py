"""In: messages of `usage.outcomes`. Out: rows of `usage_outcomes`, and a Rejection for every event that may not
pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.decoding import Decoder, SchemaSource, as_json
from schemas.rejections import Rejection, RejectionCode, pack_raw
from schemas.usage import TIMESTAMP
from sinks.records.outcome_checks import breaches
from sinks.records.record_rows import Record


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a batch became: nothing is in neither."""

    table: pa.Table
    rejections: tuple[Rejection, ...]


class OutcomeReader:
    """Decodes and checks outcomes of one topic. Not thread-safe. An outage of the schema registry raises its own
    error.
    """

    def __init__(self, topic: str, schemas: SchemaSource | None) -> None:
        self._topic = topic
        self._decoder = Decoder("outcome_event", schemas)

    def read(self, partition: int, records: Sequence[Record]) -> Outcomes:
        """All records of one partition, in offset order."""
        decoded = self._decoder.decode([record.value for record in records])
        appended = np.array([record.appended_us for record in records], np.int64)
        table = decoded.table.append_column(
            pa.field("ingested_at", TIMESTAMP, nullable=False), pa.array(appended[decoded.message], TIMESTAMP)
        )
        rejections = [
            self._reject(
                partition,
                records[failure.message],
                failure.index,
                failure.code,
                failure.sentence,
                failure.raw if failure.raw is not None else records[failure.message].value or b"",
                failure.source,
                failure.event_id,
            )
            for failure in decoded.failures
        ]
        refused = breaches(decoded.table, appended[decoded.message])
        for breach in refused:
            event = decoded.table.slice(breach.row, 1)
            rejections.append(
                self._reject(
                    partition,
                    records[int(decoded.message[breach.row])],
                    int(decoded.index[breach.row]),
                    breach.code,
                    breach.sentence,
                    # As it would be sent: so it can be sent again.
                    as_json(event),
                    event["source"][0].as_py(),
                    event["outcome_id"][0].as_py(),
                )
            )
        if refused:
            keep = np.ones(table.num_rows, np.bool_)
            keep[[breach.row for breach in refused]] = False
            table = table.filter(pa.array(keep))
        return Outcomes(table, tuple(rejections))

    def _reject(
        self,
        partition: int,
        record: Record,
        index: int,
        code: RejectionCode,
        sentence: str,
        raw: bytes,
        source: str | None = None,
        outcome_id: str | None = None,
    ) -> Rejection:
        packed, sha256, size, truncated = pack_raw(raw)
        return Rejection(
            code=code,
            message=sentence,
            topic=self._topic,
            partition=partition,
            offset=record.offset,
            index=index,
            appended_at_us=record.appended_us,
            source=source,
            event_id=outcome_id,
            raw=packed,
            raw_sha256=sha256,
            raw_bytes=size,
            raw_truncated=truncated,
        )

"""In: what could not be decoded, and the rows that were refused. Out: a rejection of each, with what it was."""

from __future__ import annotations

import numpy as np

from schemas.decoding import Decoded, Failure, as_json
from schemas.rejections import Rejection, pack_raw
from streams.enrich.batch import SourceBatch
from streams.enrich.rows import Rows
from streams.enrich.validate import Refusals

#: Characters of a sentence or an id on a rejection: what was refused for its length must not make a message too long.
_MAX_SHOWN = 1_024


def rejections_of(batch: SourceBatch, decoded: Decoded, rows: Rows, refusals: Refusals, topic: str) -> list[Rejection]:
    """Ordered by position. An event of several in a message is kept as JSON, one alone as it was sent."""
    failures = list(decoded.failures)
    events = np.bincount(rows.message, minlength=len(batch.values))
    np.add.at(events, [failure.message for failure in decoded.failures], 1)
    for row, (code, sentence) in refusals.rows.items():
        message = int(rows.message[row])
        event = rows.table.slice(row, 1)
        raw = None if events[message] == 1 else as_json(event)
        named = (event.column(name)[0].as_py() for name in ("source", "event_id"))
        failures.append(Failure(message, int(rows.index[row]), code, sentence, raw, *named))
    found = [_rejection(batch, failure, topic) for failure in failures]
    return sorted(found, key=lambda one: (one.partition, one.offset, one.index))


def _rejection(batch: SourceBatch, failure: Failure, topic: str) -> Rejection:
    message, raw = failure.message, failure.raw
    packed, sha256, size, truncated = pack_raw(raw if raw is not None else batch.values[message] or b"")
    return Rejection(
        code=failure.code,
        message=_clip(failure.sentence) or "",
        topic=topic,
        partition=int(batch.partition[message]),
        offset=int(batch.offset[message]),
        index=failure.index,
        appended_at_us=int(batch.append_us[message]),
        source=_clip(failure.source),
        event_id=_clip(failure.event_id),
        raw=packed,
        raw_sha256=sha256,
        raw_bytes=size,
        raw_truncated=truncated,
    )


def _clip(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"

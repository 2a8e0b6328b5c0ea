"""In: nothing. Out: a decoded outcome event as Arrow columns: the current `outcome_event` schema, read as Arrow."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from schemas.usage import TIMESTAMP

OUTCOME_COLUMNS: Final = pa.schema(
    [
        pa.field("outcome_id", pa.utf8(), nullable=False),
        pa.field("source", pa.utf8(), nullable=False),
        pa.field("occurred_at", TIMESTAMP, nullable=False),
        pa.field("team_id", pa.utf8(), nullable=False),
        pa.field("use_case", pa.utf8(), nullable=False),
        pa.field("workflow", pa.utf8()),
        pa.field("kind", pa.utf8(), nullable=False),
        pa.field("succeeded", pa.bool_(), nullable=False),
        pa.field("quality", pa.float64()),
        pa.field("quality_kind", pa.utf8()),
        pa.field("cycle_time_s", pa.float64()),
        pa.field("minutes_saved", pa.float64()),
        pa.field("value_nanousd", pa.int64()),
        pa.field("incident", pa.utf8()),
        pa.field("baseline_cost_nanousd", pa.int64()),
        pa.field("baseline_cycle_time_s", pa.float64()),
        pa.field("session_id", pa.utf8()),
        pa.field("trace_id", pa.utf8()),
        pa.field("reference", pa.utf8()),
    ]
)

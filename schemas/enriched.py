"""In: nothing. Out: the Arrow schema of a block on `usage.enriched`: one row per accepted event.

A block is one Arrow IPC stream. Its message carries the headers `sg-version`, `sg-range` and, on part 0, `sg-ledger`.
New columns are added at the end and nullable, so that readers of the version before go on.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from schemas.usage import TIMESTAMP, USAGE_COLUMNS

#: The event's own columns; `user_id` is gone (its keyed hash follows) and `team_id` is the attributed team.
_FROM_EVENT: Final = [field for field in USAGE_COLUMNS if field.name != "user_id"]

ENRICHED: Final = pa.schema(
    [
        pa.field("src_partition", pa.int32(), nullable=False),
        pa.field("src_offset", pa.int64(), nullable=False),
        pa.field("src_index", pa.int32(), nullable=False),
        pa.field("ingested_at", TIMESTAMP, nullable=False),
        *_FROM_EVENT,
        pa.field("user_hash", pa.utf8()),
        pa.field("claimed_team_id", pa.utf8()),
        pa.field("attribution", pa.utf8(), nullable=False),
        pa.field("attribution_conflict", pa.bool_(), nullable=False),
        pa.field("department", pa.utf8()),
        pa.field("cost_center", pa.utf8()),
        pa.field("model_class", pa.utf8()),
        pa.field("late", pa.bool_(), nullable=False),
        pa.field("cost_nanousd", pa.int64()),
        pa.field("input_cost_nanousd", pa.int64()),
        pa.field("cache_read_cost_nanousd", pa.int64()),
        pa.field("cache_write_cost_nanousd", pa.int64()),
        pa.field("output_cost_nanousd", pa.int64()),
        pa.field("provisional_nanousd", pa.int64(), nullable=False),
        pa.field("price_status", pa.utf8(), nullable=False),
        pa.field("price_note", pa.utf8()),
        pa.field("price_key", pa.utf8()),
        pa.field("price_context", pa.utf8()),
        pa.field("long_context", pa.bool_(), nullable=False),
        pa.field("rate_card", pa.utf8(), nullable=False),
        #: Since version 3: the person's role and the use case's criticality, by the documents; claims that lost against
        #: them; what the policies say.
        pa.field("role", pa.utf8()),
        pa.field("criticality", pa.utf8()),
        pa.field("claimed_use_case", pa.utf8()),
        pa.field("claimed_stage", pa.utf8()),
        pa.field("policy_verdict", pa.utf8()),
        pa.field("policy_rule", pa.utf8()),
        pa.field("retention_class", pa.utf8()),
    ]
)

#: How a row got its team: the directory by credential, user or source; the event's own claim; or nobody knew.
ATTRIBUTIONS: Final = ("credential", "user", "source", "claim", "unattributed")
UNATTRIBUTED: Final = "unattributed"

"""In: nothing. Out: a decoded usage event as Arrow columns, with its closed sets, invariants and limits.

`USAGE_COLUMNS` is the current `.avsc` read as Arrow; whatever framing or schema version an event came in, enrich sees
these columns. A golden test holds the two together.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

USAGE_COLUMNS: Final = pa.schema(
    [
        pa.field("event_id", pa.utf8(), nullable=False),
        pa.field("source", pa.utf8(), nullable=False),
        pa.field("occurred_at", TIMESTAMP, nullable=False),
        *(
            pa.field(name, pa.utf8())
            for name in (
                "team_id",
                "user_id",
                "project_id",
                "credential_id",
                "use_case",
                "workflow",
                "workflow_version",
                "prompt_template",
                "application",
                "stage",
                "data_class",
                "approval",
                "provider",
            )
        ),
        pa.field("model", pa.utf8(), nullable=False),
        *(pa.field(name, pa.utf8()) for name in ("response_model", "operation", "service_tier", "route_reason")),
        pa.field("gateway_cache_hit", pa.bool_(), nullable=False),
        *(
            pa.field(name, pa.int64(), nullable=False)
            for name in (
                "input_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "output_tokens",
                "reasoning_tokens",
            )
        ),
        pa.field("meters", pa.map_(pa.utf8(), pa.int64()), nullable=False),
        pa.field("latency_ms", pa.int64()),
        pa.field("ttft_ms", pa.int64()),
        pa.field("status", pa.utf8(), nullable=False),
        pa.field("error_type", pa.utf8()),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("retry_of", pa.utf8()),
        pa.field("prompt_hash", pa.utf8()),
        pa.field("prefix_hash", pa.utf8()),
        pa.field("prefix_tokens", pa.int64()),
        *(
            pa.field(name, pa.utf8())
            for name in ("trace_id", "session_id", "provider_request_id", "client_name", "client_version")
        ),
        pa.field("reported_cost_nanousd", pa.int64()),
        pa.field("tags", pa.map_(pa.utf8(), pa.utf8()), nullable=False),
    ]
)

#: Closed sets; any other value is refused as `bad_value` with the list of what is accepted.
CLOSED_SETS: Final[dict[str, tuple[str, ...]]] = {
    "status": ("ok", "error", "cancelled", "refused"),
    "stage": ("exploratory", "production"),
    "route_reason": ("default", "escalated", "fallback", "cached"),
}

TOKEN_COLUMNS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)

#: (parts, whole): the sum of the parts may not exceed the whole. A breach is refused, never repaired.
INVARIANTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("cache_read_tokens", "cache_write_tokens"), "input_tokens"),
    (("cache_write_1h_tokens",), "cache_write_tokens"),
    (("reasoning_tokens",), "output_tokens"),
)

#: No single call of any model known bills a tenth of this; keeps every product of tokens and price inside 64 bits.
MAX_TOKENS: Final = 100_000_000
#: One day in milliseconds: a longer call is a clock error.
MAX_MILLISECONDS: Final = 86_400_000
#: Ids and names longer than this are payloads in disguise.
MAX_STRING_BYTES: Final = 1_024
MAX_TAGS: Final = 32
MAX_METERS: Final = 32
#: Greatest count of one other billed unit on one event.
MAX_METER: Final = 10**15
#: An event dated further ahead of the broker's clock than this is refused; µs.
MAX_FUTURE_US: Final = 86_400_000_000
#: Dated before this (2015-01-01 UTC, µs), no model call existed that could be meant: a unit error (seconds,
#: milliseconds).
MIN_OCCURRED_AT_US: Final = 1_420_070_400_000_000

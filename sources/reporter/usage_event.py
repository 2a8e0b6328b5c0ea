"""In: what a caller knows about one model call. Out: a validated usage event, and many of them as Avro."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.usage import INVARIANTS, MAX_METERS, MAX_TAGS
from sources.reporter.encoding import EncodedEvents, encode_events
from sources.reporter.fields import EventValue, Milliseconds, Moment, ShortText, Tokens, new_id


class UsageEvent(EventValue):
    """One model call. Only `model`, `input_tokens` and `output_tokens` are required.

    `event_id` is made when left out: keep the event to resend it under the same id. `occurred_at` (with a time zone) is
    the moment of `report()` when left out, `source` the reporter's. `input_tokens` INCLUDES cache reads and writes,
    `output_tokens` INCLUDES reasoning. Raises pydantic.ValidationError (a ValueError) naming the field.
    """

    event_id: ShortText = Field(default_factory=new_id)
    source: ShortText | None = None
    occurred_at: Moment | None = None

    team_id: ShortText | None = None
    user_id: ShortText | None = None
    project_id: ShortText | None = None
    credential_id: ShortText | None = None

    use_case: ShortText | None = None
    workflow: ShortText | None = None
    workflow_version: ShortText | None = None
    prompt_template: ShortText | None = None
    application: ShortText | None = None
    stage: Literal["exploratory", "production"] | None = None
    data_class: ShortText | None = None
    approval: ShortText | None = None

    provider: ShortText | None = None
    model: ShortText
    response_model: ShortText | None = None
    operation: ShortText | None = None
    service_tier: ShortText | None = None
    route_reason: Literal["default", "escalated", "fallback", "cached"] | None = None
    gateway_cache_hit: bool = False

    input_tokens: Tokens
    cache_read_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    cache_write_1h_tokens: Tokens = 0
    output_tokens: Tokens
    reasoning_tokens: Tokens = 0
    meters: Annotated[dict[ShortText, Tokens], Field(max_length=MAX_METERS)] = Field(default_factory=dict)

    latency_ms: Milliseconds | None = None
    ttft_ms: Milliseconds | None = None
    status: Literal["ok", "error", "cancelled", "refused"] = "ok"
    error_type: ShortText | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    retry_of: ShortText | None = None

    prompt_hash: ShortText | None = None
    prefix_hash: ShortText | None = None
    prefix_tokens: Tokens | None = None

    trace_id: ShortText | None = None
    session_id: ShortText | None = None
    provider_request_id: ShortText | None = None
    client_name: ShortText | None = None
    client_version: ShortText | None = None
    reported_cost_nanousd: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    tags: Annotated[dict[ShortText, ShortText], Field(max_length=MAX_TAGS)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _parts_within_whole(self) -> UsageEvent:
        row = self.__dict__
        for parts, whole in INVARIANTS:
            total = sum(row[part] for part in parts)
            if total > row[whole]:
                raise ValueError(
                    f"{' + '.join(parts)} = {total} is more than {whole} = {row[whole]}: {whole} includes "
                    f"{'them' if len(parts) > 1 else 'it'}, so add the parts to the whole before reporting"
                )
        return self


def encode_usage(events: Sequence[UsageEvent], source: str, times_us: Sequence[int]) -> EncodedEvents:
    """The events as Avro; `source` and `times_us` (µs, one per event) stand in where an event has none."""
    rows = [dict(event.__dict__) for event in events]
    return encode_events("usage_event", [row["event_id"] for row in rows], rows, source, times_us)

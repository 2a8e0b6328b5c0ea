"""In: what a system knows about one outcome. Out: a validated outcome event, and many of them as Avro."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sources.reporter.encoding import EncodedEvents, encode_events
from sources.reporter.fields import EventValue, Moment, ShortText, new_id

_NANO = 1_000_000_000


def _whole_nanos(value: Decimal) -> Decimal:
    if not value.is_finite() or value * _NANO != (value * _NANO).to_integral_value() or abs(value * _NANO) >= 2**62:
        raise ValueError(
            f"{value} USD is not an amount in whole billionths of a dollar below {2**62 // _NANO}: round it"
        )
    return value


Usd = Annotated[Decimal, AfterValidator(_whole_nanos)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Score = Annotated[float, Field(allow_inf_nan=False)]


class OutcomeEvent(EventValue):
    """What model calls achieved. `session_id` or `trace_id` join it to the calls; amounts are Decimal, never float.

    `outcome_id` is made when left out, `occurred_at` is the moment of `report()`, `source` the reporter's.
    Raises pydantic.ValidationError (a ValueError) naming the field.
    """

    outcome_id: ShortText = Field(default_factory=new_id)
    source: ShortText | None = None
    occurred_at: Moment | None = None
    team_id: ShortText
    use_case: ShortText
    workflow: ShortText | None = None
    kind: ShortText
    succeeded: bool
    quality: Score | None = None
    quality_kind: ShortText | None = None
    cycle_time_s: Seconds | None = None
    minutes_saved: Score | None = None
    value_usd: Usd | None = None
    incident: Literal["compliance", "safety"] | None = None
    baseline_cost_usd: Usd | None = None
    baseline_cycle_time_s: Seconds | None = None
    session_id: ShortText | None = None
    trace_id: ShortText | None = None
    reference: ShortText | None = None


def encode_outcomes(events: Sequence[OutcomeEvent], source: str, times_us: Sequence[int]) -> EncodedEvents:
    """The events as Avro; `source` and `times_us` (µs, one per event) stand in where an event has none."""
    rows = [dict(event.__dict__) for event in events]
    for row in rows:
        row["value_nanousd"] = _nanos(row.pop("value_usd"))
        row["baseline_cost_nanousd"] = _nanos(row.pop("baseline_cost_usd"))
    return encode_events("outcome_event", [row["outcome_id"] for row in rows], rows, source, times_us)


def _nanos(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * _NANO)

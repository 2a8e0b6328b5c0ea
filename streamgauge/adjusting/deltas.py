"""In: events as ClickHouse has them, and a rate card. Out: what their price today changes about what was counted.

An event of an open month is booked at its own time: its cost comes, and what USD caps held in its place goes. One of a
closed month is booked at the time of the command, and only its cost: the figures of that month were told already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.adjustments import ADJUSTED_EVENTS
from schemas.prices.card import RateCard
from schemas.prices.columns import CallColumns
from schemas.prices.decompose import TokenCounts
from schemas.prices.notes import PriceStatus
from schemas.prices.pricing import price
from schemas.usage import TIMESTAMP

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Booking:
    """When a command books, µs: `now_us`; events before `closed_before_us` belong to closed months."""

    now_us: int
    closed_before_us: int


def deltas_of(events: pa.Table, card: RateCard, booking: Booking) -> pa.Table:
    """ADJUSTED_EVENTS for those of `events` (sinks.corrections.adjustments) that have another price now.

    An event that has no price by `card` stays as it is, also where it had one.
    """
    priced = price(card, _calls(events))
    cost = np.asarray(priced.cost_nanousd.fill_null(0))
    has_price = _column(events, "has_price") != 0
    counted = _column(events, "counted_cost")
    knows = np.asarray(pc.not_equal(priced.price_status.cast(pa.utf8()), PriceStatus.UNPRICED.value))
    chosen = np.flatnonzero(knows & (~has_price | (cost != counted)))
    rows = events.take(pa.array(chosen))
    occurred = _column(rows, "occurred_at")
    is_open = occurred >= booking.closed_before_us
    nothing = np.zeros(len(chosen), np.int64)
    made: dict[str, Any] = {
        "booked_at": pa.array(np.where(is_open, occurred, booking.now_us), pa.int64()).cast(TIMESTAMP),
        "calls": nothing,
        "input_tokens": nothing,
        "output_tokens": nothing,
        "cost_nanousd": (cost - counted)[chosen],
        "provisional_nanousd": np.where(is_open, -_column(rows, "counted_provisional"), 0),
        "unpriced": np.where(is_open, -_column(rows, "counted_unpriced"), 0),
        "rate_card": pa.array([priced.rate_card] * len(chosen), pa.utf8()),
    }
    columns = []
    for field in ADJUSTED_EVENTS:
        column = made.get(field.name)
        columns.append(rows[field.name].cast(field.type) if column is None else pa.array(column))
    return pa.Table.from_arrays(columns, schema=ADJUSTED_EVENTS)


def _calls(events: pa.Table) -> CallColumns:
    return CallColumns(
        provider=events["provider"],
        model=events["model"],
        occurred_at=_column(events, "occurred_at"),
        tokens=TokenCounts(
            input=_column(events, "input_tokens"),
            cache_read=_column(events, "cache_read_tokens"),
            cache_write=_column(events, "cache_write_tokens"),
            cache_write_1h=_column(events, "cache_write_1h_tokens"),
            output=_column(events, "output_tokens"),
            reasoning=_column(events, "reasoning_tokens"),
        ),
        response_model=events["response_model"],
        service_tier=events["service_tier"],
        has_meters=_column(events, "has_meters") != 0,
        gateway_cache_hit=_column(events, "gateway_cache_hit") != 0,
    )


def _column(events: pa.Table, name: str) -> _Ints:
    return events[name].cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

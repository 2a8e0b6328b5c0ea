"""Calls as rows in, the columns that pricing reads out; priced columns in, plain rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from schemas.control.base import moment_us
from schemas.prices.card import RateCard
from schemas.prices.columns import CallColumns
from schemas.prices.decompose import TokenCounts
from schemas.prices.pricing import price

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts of one call, inclusive as events report them."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One call to price."""

    model: str
    provider: str | None = None
    tokens: Tokens = Tokens(input=1_000_000, output=1_000_000)
    at: datetime = NOW
    tier: str | None = None
    response_model: str | None = None
    meters: bool = False
    gateway_hit: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of priced columns."""

    cost_nanousd: int | None
    input_cost_nanousd: int | None
    cache_read_cost_nanousd: int | None
    cache_write_cost_nanousd: int | None
    output_cost_nanousd: int | None
    provisional_nanousd: int
    price_status: str
    price_note: str | None
    price_key: str | None
    price_context: str | None
    long_context: bool
    rate_card: str

    def parts(self) -> tuple[int, int, int, int]:
        """The four parts of a priced row."""
        amounts = (
            self.input_cost_nanousd,
            self.cache_read_cost_nanousd,
            self.cache_write_cost_nanousd,
            self.output_cost_nanousd,
        )
        assert None not in amounts, f"unpriced: {self}"
        return amounts  # type: ignore[return-value]


def columns(calls: Sequence[Call]) -> CallColumns:
    """The batch of these calls, in order."""
    counts = {
        field.name: np.array([getattr(call.tokens, field.name) for call in calls], np.int64) for field in fields(Tokens)
    }
    return CallColumns(
        provider=pa.array([call.provider for call in calls], pa.utf8()),
        model=pa.array([call.model for call in calls], pa.utf8()),
        occurred_at=np.array([moment_us(call.at) for call in calls], np.int64),
        tokens=TokenCounts(**counts),
        response_model=pa.array([call.response_model for call in calls], pa.utf8()),
        service_tier=pa.array([call.tier for call in calls], pa.utf8()),
        has_meters=np.array([call.meters for call in calls], np.bool_),
        gateway_cache_hit=np.array([call.gateway_hit for call in calls], np.bool_),
    )


def priced(card: RateCard, *calls: Call) -> list[Row]:
    """Price calls as one batch."""
    return [Row(**row) for row in price(card, columns(calls)).record_batch().to_pylist()]

"""One resolved price of one model at one moment: integer rates per tier, and what is to be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from schemas.prices.notes import PriceContext, PriceNote
from schemas.prices.units import ZeptoUSD, zepto_per_token

NO_FEE = ZeptoUSD(0)
BASE_TIER = -1
"""``above`` of the base tier: any count of input tokens exceeds it."""


@dataclass(frozen=True, slots=True)
class TierRates:
    """Zepto-dollars per token, for all tokens of a call whose total input exceeds ``above``: a cliff, not a bracket."""

    above: int
    input: ZeptoUSD
    cache_read: ZeptoUSD
    cache_write: ZeptoUSD
    cache_write_1h: ZeptoUSD
    output: ZeptoUSD
    reasoning: ZeptoUSD


@dataclass(frozen=True, slots=True)
class UsdRates:
    """USD per million tokens as a price list names them; None where it names no rate of its own."""

    input: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    output: Decimal | None
    reasoning: Decimal | None

    def tier(self, above: int) -> TierRates:
        """Integer rates, gaps filled: cache at the input rate, 1h writes at the write rate, reasoning as output."""
        cache_write = self.input if self.cache_write is None else self.cache_write
        output = Decimal(0) if self.output is None else self.output
        return TierRates(
            above=above,
            input=zepto_per_token(self.input),
            cache_read=zepto_per_token(self.input if self.cache_read is None else self.cache_read),
            cache_write=zepto_per_token(cache_write),
            cache_write_1h=zepto_per_token(cache_write if self.cache_write_1h is None else self.cache_write_1h),
            output=zepto_per_token(output),
            reasoning=zepto_per_token(output if self.reasoning is None else self.reasoning),
        )


@dataclass(frozen=True, slots=True)
class MeterNotes:
    """What to say of a call that has tokens of a kind whose own rate is missing (None: nothing to say)."""

    cache_read: PriceNote | None = None
    cache_write: PriceNote | None = None
    cache_write_1h: PriceNote | None = None
    output: PriceNote | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """A price that can be charged. ``tiers`` ascend by ``above`` and begin with the base tier."""

    price_key: str
    context: PriceContext
    tiers: tuple[TierRates, ...]
    fallback: PriceNote | None = None
    meter_notes: MeterNotes = MeterNotes()
    remark: PriceNote | None = None
    request_fee: ZeptoUSD = NO_FEE


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No price, and why. ``price_key`` is set where the model was found but lists no rate for tokens."""

    note: PriceNote
    price_key: str | None = None


Resolved: TypeAlias = Rates | Unpriced


def missing_rate_notes(has: Callable[[str], bool]) -> MeterNotes:
    """Notes for a price list that names the rates for which ``has`` is true; each is said only of calls it touches."""
    write = None if has("cache_write") else PriceNote.CACHE_WRITE_AT_INPUT_RATE
    return MeterNotes(
        cache_read=None if has("cache_read") else PriceNote.CACHE_READ_AT_INPUT_RATE,
        cache_write=write,
        cache_write_1h=None if has("cache_write_1h") or write else PriceNote.CACHE_WRITE_1H_AT_WRITE_RATE,
        output=None if has("output") else PriceNote.OUTPUT_RATE_MISSING,
    )

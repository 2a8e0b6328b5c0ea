"""The prices of one batch in, arrays out: one slot per price and tier, gathered per row by the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.prices.decompose import Ints, Leaves
from schemas.prices.notes import STATUSES, PriceNote, PriceStatus, context_code, note_code
from schemas.prices.rates import BASE_TIER, Rates, Resolved, TierRates
from schemas.prices.units import ZEPTO_PER_PICO, ZeptoUSD

Codes = npt.NDArray[np.int8]
Index = npt.NDArray[np.intp]
_NEVER = 2**63 - 1
_FREE = TierRates(BASE_TIER, *[ZeptoUSD(0)] * 6)


@dataclass(frozen=True, slots=True)
class RateColumn:
    """One rate per slot as whole pico-dollars and the billionths of one that remain; never a float."""

    pico: Ints
    rest: Ints | None
    """None where no slot has a rest, which is nearly always."""

    @classmethod
    def of(cls, rates: Sequence[ZeptoUSD]) -> RateColumn:
        """From zepto-dollars per token."""
        pico = np.array([rate // ZEPTO_PER_PICO for rate in rates], np.int64)
        rest = np.array([rate % ZEPTO_PER_PICO for rate in rates], np.int64)
        return cls(pico, rest if rest.any() else None)


@dataclass(frozen=True, slots=True)
class RateTable:
    """Prices as arrays. Per price: where its slots begin, what is said of it. Per slot (price and tier): six rates."""

    first_slot: Index
    starts: tuple[Ints, ...]
    """The k-th array holds, per price, the input tokens above which its k-th long-context tier applies."""
    columns: tuple[RateColumn, ...]
    """In the order of the fields of Leaves."""
    fee_pico: Ints | None
    status: Codes
    note: Codes
    meter_notes: tuple[Codes | None, ...]
    """Per price, for cache read, cache write, 1h write and output; None where no price has any."""
    remark: Codes
    context: Codes
    key: npt.NDArray[np.int32]
    keys: pa.Array
    unpriced: npt.NDArray[np.bool_] | None

    @classmethod
    def of(cls, prices: Sequence[Resolved]) -> RateTable:
        """From resolved prices; an unpriced one gets zero rates and its note."""
        tiers = [price.tiers if isinstance(price, Rates) else (_FREE,) for price in prices]
        slots = [tier for each in tiers for tier in each]
        deepest = max(map(len, tiers))
        rates = [price if isinstance(price, Rates) else None for price in prices]
        columns = (
            RateColumn.of([slot.input for slot in slots]),
            RateColumn.of([slot.cache_read for slot in slots]),
            RateColumn.of([slot.cache_write for slot in slots]),
            RateColumn.of([slot.cache_write_1h for slot in slots]),
            RateColumn.of([slot.output for slot in slots]),
            RateColumn.of([slot.reasoning for slot in slots]),
        )
        said = [rate.meter_notes if rate else None for rate in rates]
        keys = {price.price_key: None for price in prices if price.price_key is not None}
        place = {key: number for number, key in enumerate(keys)}
        unpriced = np.array([rate is None for rate in rates], np.bool_)
        fees = np.array([rate.request_fee // ZEPTO_PER_PICO if rate else 0 for rate in rates], np.int64)
        return cls(
            first_slot=np.cumsum([0, *map(len, tiers)])[:-1],
            starts=tuple(
                np.array([each[k].above if k < len(each) else _NEVER for each in tiers], np.int64)
                for k in range(1, deepest)
            ),
            columns=columns,
            fee_pico=fees if fees.any() else None,
            status=np.array([STATUSES.index(_status(price)) for price in prices], np.int8),
            note=_notes([price.fallback if isinstance(price, Rates) else price.note for price in prices]),
            meter_notes=tuple(
                notes if notes.any() else None
                for notes in (
                    _notes([each.cache_read if each else None for each in said]),
                    _notes([each.cache_write if each else None for each in said]),
                    _notes([each.cache_write_1h if each else None for each in said]),
                    _notes([each.output if each else None for each in said]),
                )
            ),
            remark=_notes([rate.remark if rate else None for rate in rates]),
            context=np.array([context_code(rate.context if rate else None) for rate in rates], np.int8),
            key=np.array([-1 if price.price_key is None else place[price.price_key] for price in prices], np.int32),
            keys=pa.array(list(keys), pa.utf8()),
            unpriced=unpriced if unpriced.any() else None,
        )

    def slots(self, rows: Index, input_tokens: Ints) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Per row its slot, by the total input of that very call, and whether that is above the base tier."""
        if not self.starts:
            return self.first_slot[rows], np.zeros(len(rows), np.bool_)
        tier = np.zeros(len(rows), np.intp)
        for starts in self.starts:
            tier += input_tokens > starts[rows]
        return self.first_slot[rows] + tier, tier > 0


def charge(leaves: Leaves, columns: Sequence[RateColumn], slots: Index) -> tuple[Ints, Ints, Ints, Ints]:
    """Pico-dollars per row for uncached input, cache reads, cache writes and output, to half a pico-dollar."""
    uncached, read, write, write_1h, answer, reasoning = columns
    return (
        _amount(slots, (leaves.uncached, uncached)),
        _amount(slots, (leaves.cache_read, read)),
        _amount(slots, (leaves.cache_write_short, write), (leaves.cache_write_1h, write_1h)),
        _amount(slots, (leaves.answer, answer), (leaves.reasoning, reasoning)),
    )


def _amount(slots: Index, *parts: tuple[Ints, RateColumn]) -> Ints:
    total: Ints = np.zeros(len(slots), np.int64)
    rest: Ints | None = None
    for counts, rate in parts:
        total += counts * rate.pico[slots]
        if rate.rest is not None:
            billionths = counts * rate.rest[slots]
            rest = billionths if rest is None else rest + billionths
    return total if rest is None else total + (rest + ZEPTO_PER_PICO // 2) // ZEPTO_PER_PICO


def _status(price: Resolved) -> PriceStatus:
    if not isinstance(price, Rates):
        return PriceStatus.UNPRICED
    return PriceStatus.FALLBACK if price.fallback else PriceStatus.PRICED


def _notes(notes: Sequence[PriceNote | None]) -> Codes:
    return np.array([note_code(note) for note in notes], np.int8)

"""A batch of calls and a rate card in, the price of every call out: integer arithmetic over columns, no row in Python.

Rounding: the exact parts are added up in a fixed order (input, cache read, cache write, output), each running sum is
rounded half up to nano-dollars, and a part is the difference of two neighbours. So the cost is the exact total rounded
once, the parts add up to it, none is negative, each is less than one nano-dollar off, and a part that is whole stays as
it is. (Half to even would move such a part when the sums on both of its sides are ties.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.prices.card import Provisional, RateCard
from schemas.prices.columns import (
    CallColumns,
    PricedColumns,
    context_column,
    dictionary,
    money,
    note_column,
    status_column,
    validity,
)
from schemas.prices.decompose import Bools, Ints, TokenCounts, decompose, invalid
from schemas.prices.grouping import group
from schemas.prices.notes import STATUSES, PriceNote, PriceStatus, note_code
from schemas.prices.table import Codes, Index, RateTable, charge
from schemas.prices.units import PICO_PER_NANO, ZEPTO_PER_PICO, zepto_per_token
from schemas.usage import MAX_TOKENS

_PRICED, _FALLBACK, _UNPRICED = (
    np.int8(STATUSES.index(status)) for status in (PriceStatus.PRICED, PriceStatus.FALLBACK, PriceStatus.UNPRICED)
)


def price(card: RateCard, calls: CallColumns) -> PricedColumns:
    """The price of each call, in the same order. A call that cannot be priced harms no other; its note says why."""
    if len(calls) == 0:
        return _nothing(card)
    groups = group(card, calls)
    table, rows = RateTable.of(groups.prices), groups.rows
    bad = invalid(calls.tokens)
    # Rows with contradictory counts are computed as empty calls, so that no product can leave 64 bits.
    tokens = _only(~bad, calls.tokens) if bad.any() else calls.tokens
    hits = calls.gateway_cache_hit if calls.gateway_cache_hit is not None and calls.gateway_cache_hit.any() else None
    billed = tokens if hits is None else _only(~hits, tokens)

    slots, long_context = table.slots(rows, billed.input)
    exact_input, *exact_rest = charge(decompose(billed), table.columns, slots)
    if table.fee_pico is not None:
        exact_input += table.fee_pico[rows] if hits is None else np.where(hits, 0, table.fee_pico[rows])
    cost, parts = _rounded((exact_input, *exact_rest))

    said = _say(table, rows, calls, billed, bad, hits)
    held, valid = np.zeros(len(calls), np.int64), None
    if (missing := said.status == _UNPRICED).any():
        held[missing] = _provisional(card.provisional, calls.tokens.input[missing], calls.tokens.output[missing])
        long_context &= ~missing
        valid = validity(missing)
    return PricedColumns(
        cost_nanousd=money(cost, valid),
        input_cost_nanousd=money(parts[0], valid),
        cache_read_cost_nanousd=money(parts[1], valid),
        cache_write_cost_nanousd=money(parts[2], valid),
        output_cost_nanousd=money(parts[3], valid),
        provisional_nanousd=pa.array(held),
        price_status=status_column(said.status),
        price_note=note_column(said.note),
        price_key=dictionary(table.key[rows], table.keys),
        price_context=context_column(said.context),
        long_context=pa.array(long_context),
        rate_card=card.label,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    status: Codes
    note: Codes
    context: Codes


def _say(
    table: RateTable, rows: Index, calls: CallColumns, tokens: TokenCounts, bad: Bools, hits: Bools | None
) -> _Said:
    """Status, note and context per row. One note is kept: price, then kinds of token, then meters, then remarks."""
    status, note, context = table.status[rows], table.note[rows], table.context[rows]
    used = (tokens.cache_read, tokens.cache_write, tokens.cache_write_1h, tokens.output)
    fallbacks = [
        (codes[rows], counts > 0) for codes, counts in zip(table.meter_notes, used, strict=True) if codes is not None
    ]
    if calls.has_meters is not None and calls.has_meters.any():
        fallbacks.append((np.full(len(rows), note_code(PriceNote.METERS_NOT_PRICED), np.int8), calls.has_meters))
    for codes, where in fallbacks:
        told = where & (codes != 0) & (status == _PRICED)
        if told.any():
            note[told] = codes[told]
            status[told] = _FALLBACK
    if table.remark.any():
        note = np.where(status == _PRICED, table.remark[rows], note)
    if bad.any():
        status[bad], note[bad], context[bad] = _UNPRICED, note_code(PriceNote.TOKENS_INVALID), 0
    if hits is not None:
        # A gateway's own answer costs nothing whatever the model would; only here may an unknown model cost zero.
        status[hits], note[hits] = _PRICED, note_code(PriceNote.GATEWAY_CACHE_HIT)
    return _Said(status, note, context)


def _rounded(exact: tuple[Ints, ...]) -> tuple[Ints, tuple[Ints, ...]]:
    """Pico-dollar parts to (total, parts) in nano-dollars, by the rule at the top of this file."""
    running = np.zeros(len(exact[0]), np.int64)
    before = running
    parts: list[Ints] = []
    for part in exact:
        running = running + part
        total = nearest(running)
        parts.append(total - before)
        before = total
    return before, tuple(parts)


def nearest(pico: Ints) -> Ints:
    """Pico-dollars ≥ 0 to the nearest nano-dollar, halves up."""
    return (pico + PICO_PER_NANO // 2) // PICO_PER_NANO


def _only(keep: Bools, tokens: TokenCounts) -> TokenCounts:
    return TokenCounts(
        input=tokens.input * keep,
        cache_read=tokens.cache_read * keep,
        cache_write=tokens.cache_write * keep,
        cache_write_1h=tokens.cache_write_1h * keep,
        output=tokens.output * keep,
        reasoning=tokens.reasoning * keep,
    )


def _provisional(rates: Provisional, input_tokens: Ints, output_tokens: Ints) -> Ints:
    """All input and output tokens at the stated rates, in whole pico-dollars a token; absurd counts at the limit."""
    per_input, per_output = (zepto_per_token(rate) // ZEPTO_PER_PICO for rate in (rates.input, rates.output))
    held = np.clip(input_tokens, 0, MAX_TOKENS) * per_input + np.clip(output_tokens, 0, MAX_TOKENS) * per_output
    return nearest(held)


def _nothing(card: RateCard) -> PricedColumns:
    empty, codes = pa.array([], pa.int64()), np.zeros(0, np.int8)
    return PricedColumns(
        *(empty,) * 6,
        price_status=status_column(codes),
        price_note=note_column(codes),
        price_key=dictionary(np.zeros(0, np.int32), pa.array([], pa.utf8())),
        price_context=context_column(codes),
        long_context=pa.array([], pa.bool_()),
        rate_card=card.label,
    )

"""Columns of names and times in, one small integer per row out: which kind of call, in which stretch of time.

Rows are grouped by lookup tables over dictionary codes, not by sorting: a batch has few kinds and many rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.prices.card import CallKind, RateCard
from schemas.prices.catalogue import DAY_US
from schemas.prices.columns import CallColumns, Names
from schemas.prices.rates import Resolved

Index = npt.NDArray[np.intp]
_LOOKUP_LIMIT = 1 << 20
"""Entries of a lookup table, 8 MiB; beyond it rows are sorted instead."""


@dataclass(frozen=True, slots=True)
class Groups:
    """``rows[i]`` is the place of row i's price in ``prices``."""

    prices: list[Resolved]
    rows: Index


def group(card: RateCard, calls: CallColumns) -> Groups:
    """The prices that occur in a batch, and which row has which."""
    kinds, rows = _kinds(calls)
    codes, size = rows, len(kinds)
    first_us, last_us = int(calls.occurred_at.min()), int(calls.occurred_at.max())
    known = [card.route(kind).boundaries for kind in kinds]
    # Rows between the same moments of *any* kind have one price per kind; most batches cross no moment at all.
    instants = sorted({us for one in known for us in one.instants if first_us < us <= last_us})
    times = sorted({us for one in known for us in one.times_of_day})
    if instants:
        codes = codes * (len(instants) + 1) + np.searchsorted(np.array(instants), calls.occurred_at, side="right")
        size *= len(instants) + 1
    if times:
        since_midnight = calls.occurred_at % DAY_US
        codes = codes * (len(times) + 1) + np.searchsorted(np.array(times), since_midnight, side="right")
        size *= len(times) + 1
    samples, rows_of = _distinct(codes, size)
    # Any row of a stretch stands for all of it, so the price is asked for at a moment that really occurred.
    moments = calls.occurred_at[samples].tolist()
    kind_of = rows[samples].tolist()
    return Groups([card.resolve(kinds[kind], us) for kind, us in zip(kind_of, moments, strict=True)], rows_of)


def _kinds(calls: CallColumns) -> tuple[list[CallKind], Index]:
    encoded = [
        _encode(names, len(calls)) for names in (calls.provider, calls.model, calls.response_model, calls.service_tier)
    ]
    codes: Index = np.zeros(len(calls), np.intp)
    size = 1
    for more, values in encoded:
        if size * len(values) > _LOOKUP_LIMIT:
            samples, codes = _distinct(codes, size)
            size = len(samples)
        codes, size = codes * len(values) + more, size * len(values)
    samples, rows = _distinct(codes, size)
    provider, model, response, tier = ([values[code] for code in more[samples].tolist()] for more, values in encoded)
    kinds = [CallKind(*names) for names in zip(provider, (name or "" for name in model), response, tier, strict=True)]
    return kinds, rows


def _encode(names: Names | None, length: int) -> tuple[Index, list[str | None]]:
    """Codes per row and the value behind each; null is the last one."""
    if names is None or names.null_count == length:
        return np.zeros(length, np.intp), [None]
    array = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries().combine_chunks()
    values = array.dictionary.to_pylist()
    codes = array.indices
    if codes.null_count:
        codes = codes.cast(pa.int64()).fill_null(len(values))
    return codes.to_numpy().astype(np.intp), [*values, None]


def _distinct(codes: Index, size: int) -> tuple[Index, Index]:
    """One sample row of each distinct code below ``size``, and for every row the place of its sample."""
    if size > max(_LOOKUP_LIMIT, 4 * len(codes)):
        _, samples, rows = np.unique(codes, return_index=True, return_inverse=True)
        return samples, rows
    sample_of = np.full(size, -1, np.intp)
    sample_of[codes] = np.arange(len(codes))
    present = np.flatnonzero(sample_of >= 0)
    place = np.empty(size, np.intp)
    place[present] = np.arange(len(present))
    return sample_of[present], place[codes]

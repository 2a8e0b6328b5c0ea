"""What pricing reads and writes: the columns of a batch of calls in, the columns of their prices out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from schemas.prices.decompose import Bools, Ints, TokenCounts
from schemas.prices.notes import CONTEXTS, NOTES, STATUSES

Names: TypeAlias = pa.Array | pa.ChunkedArray
"""Strings, plain or dictionary-encoded, with nulls."""


@dataclass(frozen=True, slots=True)
class CallColumns:
    """Calls to price, all columns of one length. Optional columns may be left out as None."""

    provider: Names
    model: Names
    occurred_at: Ints
    """µs since the epoch, UTC."""
    tokens: TokenCounts
    response_model: Names | None = None
    service_tier: Names | None = None
    has_meters: Bools | None = None
    """The call also used units other than tokens."""
    gateway_cache_hit: Bools | None = None
    """A gateway answered by itself: nothing is billed."""

    def __len__(self) -> int:
        return len(self.occurred_at)

    @classmethod
    def from_usage(cls, events: pa.Table | pa.RecordBatch) -> CallColumns:
        """From columns named as in ``schemas.usage``. Raises KeyError if one is missing, ArrowInvalid for nulls."""
        meters = events.column("meters")
        if isinstance(meters, pa.ChunkedArray):
            meters = meters.combine_chunks()
        return cls(
            provider=events.column("provider"),
            model=events.column("model"),
            occurred_at=_ints(events.column("occurred_at")),
            tokens=TokenCounts(
                input=_ints(events.column("input_tokens")),
                cache_read=_ints(events.column("cache_read_tokens")),
                cache_write=_ints(events.column("cache_write_tokens")),
                cache_write_1h=_ints(events.column("cache_write_1h_tokens")),
                output=_ints(events.column("output_tokens")),
                reasoning=_ints(events.column("reasoning_tokens")),
            ),
            response_model=events.column("response_model"),
            service_tier=events.column("service_tier"),
            has_meters=np.diff(meters.offsets.to_numpy()) > 0 if len(meters) else np.zeros(0, np.bool_),
            gateway_cache_hit=events.column("gateway_cache_hit").to_numpy(zero_copy_only=False).astype(np.bool_),
        )


def _ints(column: Names) -> Ints:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise pa.ArrowInvalid(f"{array.null_count} of {len(array)} values are null where pricing needs a number")
    return array.cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class PricedColumns:
    """Prices of a batch, in its order. Money is int64 nano-USD, null where unpriced; the four parts add up to the cost.

    ``price_status``, ``price_note``, ``price_key`` and ``price_context`` are dictionary-encoded strings.
    """

    cost_nanousd: pa.Array
    input_cost_nanousd: pa.Array
    """Uncached input, and the fee per request where the model has one."""
    cache_read_cost_nanousd: pa.Array
    cache_write_cost_nanousd: pa.Array
    output_cost_nanousd: pa.Array
    provisional_nanousd: pa.Array
    """What an unpriced call is held to cost against caps; 0 where priced. Never null."""
    price_status: pa.Array
    price_note: pa.Array
    price_key: pa.Array
    price_context: pa.Array
    long_context: pa.Array
    """A tier above the base was applied."""
    rate_card: str
    """Version and hash of the card, the same for every row."""

    def __len__(self) -> int:
        return len(self.cost_nanousd)

    def record_batch(self) -> pa.RecordBatch:
        """All of it under the names of ``schemas.enriched``; repeated strings stay dictionary-encoded."""
        names = [name for name in self.__slots__ if name != "rate_card"]
        card = dictionary(np.zeros(len(self), np.int8), pa.array([self.rate_card]))
        return pa.RecordBatch.from_arrays([*(getattr(self, name) for name in names), card], [*names, "rate_card"])


def validity(missing: Bools | None) -> pa.Buffer | None:
    """Arrow's bitmap of the rows that have a value; built once and shared by the columns of a batch."""
    return None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))


def money(amounts: Ints, valid: pa.Buffer | None) -> pa.Array:
    """An int64 column over the same memory; null where ``valid`` has no bit."""
    return pa.Array.from_buffers(pa.int64(), len(amounts), [valid, pa.py_buffer(amounts)])


def dictionary(codes: np.ndarray[tuple[int, ...], np.dtype[np.signedinteger]], values: pa.Array) -> pa.Array:
    """A string column from codes into values; a code below zero is null."""
    missing = codes < 0
    valid = validity(missing) if missing.any() else None
    kind = pa.from_numpy_dtype(codes.dtype)
    indices = pa.Array.from_buffers(kind, len(codes), [valid, pa.py_buffer(np.ascontiguousarray(codes))])
    return pa.DictionaryArray.from_arrays(indices, values)


def status_column(codes: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> pa.Array:
    """``price_status`` from places in STATUSES."""
    return dictionary(codes, _values(STATUSES))


def note_column(codes: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> pa.Array:
    """``price_note`` from places in NOTES (0 is null)."""
    return dictionary(codes - np.int8(1), _values(NOTES[1:]))


def context_column(codes: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> pa.Array:
    """``price_context`` from places in CONTEXTS (0 is null)."""
    return dictionary(codes - np.int8(1), _values(CONTEXTS[1:]))


@cache
def _values(members: Sequence[StrEnum | None]) -> pa.Array:
    return pa.array([None if member is None else member.value for member in members], pa.utf8())

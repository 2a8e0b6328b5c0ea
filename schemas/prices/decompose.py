"""Inclusive token counts in, disjoint leaf counts out: the arithmetic that every price stands on.

``input_tokens`` includes cache reads and writes, ``cache_write_tokens`` includes the one-hour ones, ``output_tokens``
includes reasoning. A leaf is what remains after its more specific parts, so that each token is priced exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.usage import MAX_TOKENS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Counts as an event reports them; int64 arrays of one length."""

    input: Ints
    cache_read: Ints
    cache_write: Ints
    cache_write_1h: Ints
    output: Ints
    reasoning: Ints


@dataclass(frozen=True, slots=True)
class Leaves:
    """Disjoint counts: the first four add up to the input tokens, the last two to the output tokens."""

    uncached: Ints
    cache_read: Ints
    cache_write_short: Ints
    cache_write_1h: Ints
    answer: Ints
    reasoning: Ints


def decompose(tokens: TokenCounts) -> Leaves:
    """Leaf counts of valid rows (see ``invalid``); a breach would show as a negative leaf."""
    return Leaves(
        uncached=tokens.input - tokens.cache_read - tokens.cache_write,
        cache_read=tokens.cache_read,
        cache_write_short=tokens.cache_write - tokens.cache_write_1h,
        cache_write_1h=tokens.cache_write_1h,
        answer=tokens.output - tokens.reasoning,
        reasoning=tokens.reasoning,
    )


def invalid(tokens: TokenCounts) -> Bools:
    """True where counts are negative, above MAX_TOKENS, or a part exceeds its whole."""
    # The parts are checked first for sign and size, so the sum of cache_read and cache_write cannot wrap unseen.
    sizes = (
        tokens.input,
        tokens.cache_read,
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.output,
        tokens.reasoning,
    )
    bad: Bools = np.zeros(len(tokens.input), dtype=np.bool_)
    for counts in sizes:
        # Seen as unsigned, a negative count is a huge one: one comparison tests both ends.
        bad |= counts.view(np.uint64) > MAX_TOKENS
    bad |= tokens.cache_read + tokens.cache_write > tokens.input
    bad |= tokens.cache_write_1h > tokens.cache_write
    bad |= tokens.reasoning > tokens.output
    return bad

"""The change in cost is split without a remainder, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agents.spikes.baseline import CLASSES
from streams.agents.spikes.decomposition import Usage, decompose

AMOUNT = st.floats(0, 1e13)


def usage(
    calls: float, tokens: float, cost: float, cache: float = 0.0, mix: dict[int, tuple[float, float]] | None = None
) -> Usage:
    table = np.zeros((CLASSES, 2))
    for number, values in (mix or {0: (tokens, cost)}).items():
        table[number] = values
    return Usage(calls, tokens, cost, tokens * 0.97, tokens * 0.97 * cache, table)


@given(st.tuples(AMOUNT, AMOUNT, AMOUNT, st.floats(0, 1)), st.tuples(AMOUNT, AMOUNT, AMOUNT, st.floats(0, 1)))
def test_parts_add_up(before: tuple[float, float, float, float], after: tuple[float, float, float, float]) -> None:
    parts = decompose(usage(*before), usage(*after))
    change = round(after[2]) - round(before[2])
    assert sum(part.delta for part in parts) == change
    if change:
        assert sum(part.share for part in parts) == pytest.approx(1.0)
        assert all(np.isfinite([part.share, part.before, part.after]).all() for part in parts)


def test_each_factor_is_named_by_what_moved() -> None:
    usual = usage(100, 300_000, 9e8, cache=0.8)
    assert decompose(usual, usage(800, 2_400_000, 72e8, cache=0.8))[0].factor == "calls"
    assert decompose(usual, usage(100, 1_800_000, 54e8, cache=0.8))[0].factor == "tokens_per_call"
    assert decompose(usual, usage(100, 300_000, 54e8, cache=0.8))[0].factor == "price_per_token"
    assert decompose(usual, usage(100, 300_000, 26e8, cache=0.0))[0].factor == "cache_share"


def test_a_dearer_model_is_named_by_its_class() -> None:
    usual = usage(100, 300_000, 9e8, mix={0: (290_000, 6e8), 1: (10_000, 3e8)})
    moved = usage(100, 300_000, 87e8, mix={0: (10_000, 0.2e8), 1: (290_000, 86.8e8)})
    first = decompose(usual, moved)[0]
    assert first.factor == "model_mix"
    assert first.before == pytest.approx(0.033, abs=0.01)
    assert first.after == pytest.approx(0.967, abs=0.01)

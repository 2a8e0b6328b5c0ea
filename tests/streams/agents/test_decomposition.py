"""The change in cost is split without a remainder, whatever the numbers, and each factor is found by what moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agents.spikes.decomposition import Part, decompose
from streams.agents.spikes.finding import Usage

AMOUNT = st.floats(0, 1e13)
SHARE = st.floats(0, 1)


def usage(
    calls: float,
    inputs: float,
    outputs: float,
    cache: float = 0.0,
    errors: float = 0.0,
    price: float = 3000.0,
    **classes: tuple[float, float],
) -> Usage:
    """Calls of so many tokens each, at `price` nano-USD an input token."""
    paid = inputs * (1 - 0.9 * cache) + 5 * outputs
    cost = calls * paid * price
    tokens = calls * (inputs + outputs)
    return Usage(
        calls,
        errors * calls,
        calls * inputs,
        calls * inputs * cache,
        calls * outputs,
        cost,
        classes or {"standard": (tokens, cost)},
    )


USUAL = usage(100, 3000, 200, cache=0.5, errors=0.02)


@st.composite
def any_usage(draw: st.DrawFn) -> Usage:
    calls, inputs, outputs, cost = draw(AMOUNT), draw(AMOUNT), draw(AMOUNT), draw(AMOUNT)
    first = draw(SHARE)
    tokens = inputs + outputs
    classes = {"a": (tokens * first, cost * draw(SHARE)), "b": (tokens * (1 - first), cost * draw(SHARE))}
    return Usage(calls, calls * draw(SHARE), inputs, inputs * draw(SHARE), outputs, cost, classes)


@given(any_usage(), any_usage())
def test_parts_add_up(before: Usage, after: Usage) -> None:
    parts = decompose(before, after)
    change = round(after.cost) - round(before.cost)
    assert sum(part.delta for part in parts) == change
    if change:
        assert sum(part.share for part in parts) == pytest.approx(1.0, rel=1e-6, abs=1e-6)
        assert all(np.isfinite([part.share, part.before, part.after]).all() for part in parts)


@pytest.mark.parametrize(
    ("after", "factor"),
    [
        (usage(800, 3000, 200, cache=0.5, errors=0.02), "calls"),
        (usage(500, 3000, 200, cache=0.5, errors=0.8), "errors"),
        (usage(100, 21_000, 200, cache=0.5, errors=0.02), "input_per_call"),
        (usage(100, 3000, 2000, cache=0.5, errors=0.02), "output_per_call"),
        (usage(100, 3000, 200, cache=0.0, errors=0.02), "cache_share"),
        (usage(100, 3000, 200, cache=0.5, errors=0.02, price=12_000), "price_per_token"),
    ],
)
def test_what_moved_alone_explains_all_of_it(after: Usage, factor: str) -> None:
    first, *rest = decompose(USUAL, after)
    assert first.factor == factor
    assert first.share == pytest.approx(1.0, abs=0.03)
    assert all(abs(part.share) < 0.03 for part in rest)


def test_two_that_move_share_it_as_their_logarithms() -> None:
    parts = {part.factor: part for part in decompose(USUAL, usage(400, 3000, 200, cache=0.5, errors=0.02, price=6000))}
    assert parts["calls"].share == pytest.approx(2 / 3)
    assert parts["price_per_token"].share == pytest.approx(1 / 3)


def test_the_multiples_of_prices_need_not_be_exact() -> None:
    """Where an output token costs four times an input token, longer answers are still all of it."""

    def at_four(outputs: float) -> Usage:
        cost = 100 * (3000 + 4 * outputs) * 3000
        return Usage(100, 0, 300_000, 0, 100 * outputs, cost, {"": (300_000 + 100 * outputs, cost)})

    (first, *rest) = [part for part in decompose(at_four(200), at_four(4000)) if abs(part.share) > 0.01]
    assert (first.factor, rest) == ("output_per_call", [])
    assert first.share == pytest.approx(1)


def test_the_price_is_that_of_like_tokens() -> None:
    """More input alone makes the mean token cheaper; that is no change of price."""
    after = usage(100, 21_000, 200, cache=0.5, errors=0.02, price=4500)
    parts = {part.factor: part for part in decompose(USUAL, after)}
    price = parts["price_per_token"]
    assert (price.before, price.after) == pytest.approx((3000, 4500))
    assert price.share == pytest.approx(np.log(1.5) / np.log(after.cost / USUAL.cost))
    hardly = decompose(USUAL, usage(100, 21_000, 200, cache=0.5, errors=0.02, price=3050))
    assert "price_per_token" not in {part.factor for part in hardly}
    assert hardly[0].share == pytest.approx(1)


def test_a_dearer_model_is_told_by_its_share() -> None:
    tokens = 320_000.0
    was = {"small": (0.95 * tokens, 0.95 * tokens * 300), "frontier": (0.05 * tokens, 0.05 * tokens * 6000)}
    now = {"small": (0.05 * tokens, 0.05 * tokens * 300), "frontier": (0.95 * tokens, 0.95 * tokens * 6000)}
    before = Usage(100, 0, 300_000, 0, 20_000, sum(cost for _, cost in was.values()), was)
    after = replace(before, cost=sum(cost for _, cost in now.values()), classes=now)
    first = decompose(before, after)[0]
    assert first.factor == "model_mix"
    assert first.share == pytest.approx(1)
    assert [first.before, first.after] == pytest.approx([0.05, 0.95])


def test_a_model_that_nobody_used_before_has_its_price_of_now() -> None:
    before = Usage(100, 0, 300_000, 0, 20_000, 9e7, {"small": (320_000, 9e7)})
    after = replace(before, cost=18e8, classes={"frontier": (320_000, 18e8)})
    assert decompose(before, after)[0].factor == "model_mix"


def test_all_failing_is_finite_and_what_falls_is_never_laid_on_failing() -> None:
    failing = decompose(USUAL, usage(400, 3000, 200, cache=0.5, errors=1.0))
    assert failing[0].factor == "errors"
    fewer = decompose(USUAL, usage(50, 3000, 200, cache=0.5, errors=0.5))
    assert {part.factor for part in fewer if abs(part.share) > 0.01} == {"calls"}


def test_what_was_not_there_before_is_new() -> None:
    nothing = Usage(0, 0, 0, 0, 0, 0, {})
    assert decompose(nothing, USUAL) == (Part("calls", round(USUAL.cost), 1.0, 0, 100),)
    assert decompose(USUAL, USUAL) == ()

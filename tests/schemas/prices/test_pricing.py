"""What a priced row says: statuses, notes, contexts, tiers, parts, and amounts held for what cannot be priced."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.prices.card import Provisional, RateCard
from schemas.prices.columns import CallColumns
from schemas.prices.overrides import OverrideRates, PriceOverride
from schemas.prices.pricing import nearest, price
from schemas.prices.units import MAX_USD_PER_MTOK, RateOutOfRangeError, zepto_per_token
from schemas.usage import MAX_TOKENS, USAGE_COLUMNS
from tests.schemas.prices.batches import NOW, Call, Row, Tokens, columns, priced

CARD = RateCard.compile()
USD = 1_000_000_000


def one(call: Call, card: RateCard = CARD) -> Row:
    (row,) = priced(card, call)
    return row


def test_known_model_is_priced_with_key_context_and_card() -> None:
    row = one(Call("gpt-5", "openai"))
    assert (row.price_status, row.price_note, row.price_key, row.price_context) == (
        *("priced", None, "openai/gpt-5", "standard"),
    )
    assert row.cost_nanousd == 11_250_000_000
    assert row.parts() == (1_250_000_000, 0, 0, 10_000_000_000)
    assert row.provisional_nanousd == 0
    assert row.rate_card == CARD.label


@pytest.mark.parametrize(
    ("call", "note"),
    [
        (Call("gpt-5", "nobody.we.know"), "provider_unknown"),
        (Call("no-such-model", "openai"), "model_unknown"),
        (Call("no-such-model"), "model_unknown"),
        (Call("whisper-1", "openai"), "no_token_rates"),
        (Call("gpt-5", "openai", Tokens(input=10, cache_read=11)), "tokens_invalid"),
        (Call("gpt-5", "openai", Tokens(input=10, cache_read=6, cache_write=5)), "tokens_invalid"),
        (Call("gpt-5", "openai", Tokens(input=10, cache_write=5, cache_write_1h=6)), "tokens_invalid"),
        (Call("gpt-5", "openai", Tokens(output=5, reasoning=6)), "tokens_invalid"),
        (Call("gpt-5", "openai", Tokens(input=-1)), "tokens_invalid"),
        (Call("gpt-5", "openai", Tokens(input=MAX_TOKENS + 1)), "tokens_invalid"),
    ],
)
def test_what_cannot_be_priced_is_null_and_says_why(call: Call, note: str) -> None:
    row = one(call)
    assert (row.price_status, row.price_note) == ("unpriced", note)
    assert row.cost_nanousd is None
    assert row.price_context is None
    assert not row.long_context


def test_unpriced_call_is_held_at_the_stated_provisional_price() -> None:
    call = Call("no-such-model", "openai", Tokens(input=2_000_000, cache_read=500, output=1_000_000))
    assert one(call).provisional_nanousd == 2 * 10 * USD + 40 * USD
    card = RateCard.compile(provisional=Provisional(Decimal("0.5"), Decimal(3)))
    assert one(call, card).provisional_nanousd == USD + 3 * USD
    assert card.sha256 != CARD.sha256


def test_a_bad_row_harms_no_other() -> None:
    good = Call("gpt-5", "openai")
    absurd = Call("gpt-5", "openai", Tokens(input=2**62, output=2**62))
    assert priced(CARD, good, absurd, good)[::2] == [one(good), one(good)]
    assert one(absurd).provisional_nanousd == MAX_TOKENS * (10_000 + 40_000)


@pytest.mark.parametrize(
    ("call", "note", "context"),
    [
        (Call("gpt-5", "openai", tier="batch"), None, "batch"),
        (Call("gpt-5", "openai", tier="Flex "), None, "flex"),
        (Call("gpt-5", "openai", tier="default"), None, "standard"),
        (Call("gpt-5", "openai", tier="auto"), None, "standard"),
        (Call("gpt-5", "openai", tier="typo"), "context_unknown", "standard"),
        (Call("gpt-4", "openai", tier="fast"), "context_unknown", "standard"),
        (Call("gpt-5", "azure.ai.openai", tier="batch"), "context_unknown", "standard"),
        (
            Call("gpt-5", "openai", tier="batch", at=datetime(2026, 6, 1, tzinfo=UTC)),
            "context_not_yet_priced",
            "standard",
        ),
    ],
)
def test_context_is_applied_or_its_fallback_is_said(call: Call, note: str | None, context: str) -> None:
    row = one(call)
    assert (row.price_note, row.price_context) == (note, context)
    assert row.price_status == ("fallback" if note else "priced")


def test_batch_costs_half() -> None:
    full, half = priced(CARD, Call("gpt-5", "openai"), Call("gpt-5", "openai", tier="batch"))
    assert full.cost_nanousd == 2 * sum(half.parts())


def test_missing_cache_rate_is_said_only_of_calls_that_use_it() -> None:
    plain = Call("gpt-4", "openai", Tokens(input=1_000))
    cached = replace(plain, tokens=Tokens(input=1_000, cache_read=400))
    rows = priced(CARD, plain, cached)
    assert [row.price_note for row in rows] == [None, "cache_read_at_input_rate"]
    assert rows[0].cost_nanousd == rows[1].cost_nanousd


def test_context_that_leaves_out_the_cache_rate_is_said_only_of_cached_calls() -> None:
    plain = Call("o4-mini", "openai", Tokens(input=1_000), tier="batch")
    cached = replace(plain, tokens=Tokens(input=1_000, cache_read=400))
    assert [row.price_note for row in priced(CARD, plain, cached)] == [None, "context_partial"]


def test_meters_and_gateway_hits() -> None:
    call = Call("gpt-5", "openai")
    meters, hit, unknown_hit = priced(
        CARD, replace(call, meters=True), replace(call, gateway_hit=True), Call("nope", "nobody", gateway_hit=True)
    )
    assert (meters.price_status, meters.price_note) == ("fallback", "meters_not_priced")
    assert meters.cost_nanousd == one(call).cost_nanousd
    for row in (hit, unknown_hit):
        assert (row.cost_nanousd, row.provisional_nanousd, row.price_status) == (0, 0, "priced")
        assert row.price_note == "gateway_cache_hit"


def test_gateway_hit_of_a_model_with_a_request_fee_is_free() -> None:
    call = Call("sonar-pro", "perplexity", Tokens(input=10))
    paid, hit = priced(CARD, call, replace(call, gateway_hit=True))
    assert (paid.price_note, paid.cost_nanousd) == ("request_fee_in_input", 14_000_000 + 30_000)
    assert hit.cost_nanousd == 0


def test_tier_is_chosen_by_each_calls_own_input() -> None:
    calls = [
        Call("claude-sonnet-4-5", "anthropic", Tokens(input=total, cache_read=100)) for total in (200_000, 200_001)
    ]
    below, above = priced(CARD, *calls)
    assert [below.long_context, above.long_context] == [False, True]
    assert above.cache_read_cost_nanousd == 2 * below.parts()[1]


def test_price_changes_at_its_very_moment_within_one_batch() -> None:
    cut = datetime(2025, 6, 10, tzinfo=UTC)
    moments = [cut, cut - timedelta(microseconds=1), cut + timedelta(days=300), cut - timedelta(days=300), cut]
    costs = [row.cost_nanousd for row in priced(CARD, *(Call("o3", "openai", at=at) for at in moments))]
    assert costs == [10 * USD, 50 * USD, 10 * USD, 50 * USD, 10 * USD]


def test_price_by_the_hour() -> None:
    edges = [datetime(2026, 11, 20, hour, tzinfo=UTC) for hour in (1, 4, 6, 10)]
    tick = timedelta(microseconds=1)
    calls = [Call("deepseek-v4-pro", "deepseek", at=at) for edge in edges for at in (edge - tick, edge)]
    costs = [row.cost_nanousd for row in priced(CARD, *calls)]
    assert costs[0] == costs[3] == costs[4] == costs[7]
    assert costs[1] == costs[2] == costs[5] == costs[6]
    assert costs[0] != costs[1]


def test_the_model_that_answered_is_billed() -> None:
    by_answer, by_request = priced(
        CARD,
        Call("router/auto", "openai", response_model="gpt-5-2025-08-07"),
        Call("gpt-5", "openai", response_model="gpt-5-unheard-of-variant-name"),
    )
    assert (by_answer.price_key, by_answer.price_status) == ("openai/gpt-5", "priced")
    assert (by_request.price_key, by_request.price_note) == ("openai/gpt-5", "response_model_unknown")


@pytest.mark.parametrize(
    ("provider", "model", "key"),
    [
        ("azure.ai.openai", "gpt-5", "openai/gpt-5"),
        ("x_ai", "grok-4", "x-ai/grok-4-0709"),
        ("gcp.vertex_ai", "claude-sonnet-4-5", "google/claude-sonnet-4-5"),
        ("gcp.gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("litellm", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        (None, "azure/gpt-5", "openai/gpt-5"),
        (None, "GPT-5", "openai/gpt-5"),
    ],
)
def test_names_of_providers(provider: str | None, model: str, key: str) -> None:
    assert one(Call(model, provider)).price_key == key


def test_largest_amounts_stay_exact() -> None:
    rate = MAX_USD_PER_MTOK
    dear = PriceOverride(
        id="dear",
        model="dear",
        valid_from=NOW - timedelta(days=1),
        rates=OverrideRates(input=rate, cache_read=rate, cache_write=rate, output=rate - Decimal("1e-15")),
        source="test",
    )
    tokens = Tokens(MAX_TOKENS, MAX_TOKENS // 2, MAX_TOKENS // 2, MAX_TOKENS // 4, MAX_TOKENS, MAX_TOKENS // 2)
    row = one(Call("dear", tokens=tokens), RateCard.compile([dear]))
    assert row.cost_nanousd == int(MAX_TOKENS * rate * 1_000 * 2)
    with pytest.raises(RateOutOfRangeError, match="9001"):
        zepto_per_token(Decimal(9_001))


@given(st.lists(st.integers(0, 2 * 10**18), min_size=1, max_size=20))
def test_rounding_is_half_up(amounts: list[int]) -> None:
    expected = [int((Decimal(amount) / 1_000).quantize(Decimal(1), "ROUND_HALF_UP")) for amount in amounts]
    assert nearest(np.array(amounts, np.int64)).tolist() == expected


CALLS = st.builds(
    Call,
    model=st.sampled_from(["gpt-5", "claude-sonnet-4-5", "o3", "deepseek-chat", "nope", "sonar-pro", "o4-mini"]),
    provider=st.sampled_from([None, "openai", "anthropic", "deepseek", "azure", "perplexity"]),
    tokens=st.builds(Tokens, input=st.integers(0, 400_000), cache_read=st.integers(0, 9), output=st.integers(0, 9_999)),
    at=st.integers(0, 700 * 86_400).map(lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    tier=st.sampled_from([None, "batch", "priority", "typo"]),
    response_model=st.sampled_from([None, None, "gpt-5-2025-08-07"]),
    meters=st.booleans(),
    gateway_hit=st.booleans(),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(CALLS, min_size=1, max_size=25))
def test_a_call_costs_the_same_in_any_batch(calls: list[Call]) -> None:
    together = priced(CARD, *calls)
    assert together == [one(call) for call in calls]
    assert together[::-1] == priced(CARD, *calls[::-1])


def test_encodings_of_the_same_names_price_alike() -> None:
    calls = columns([Call("gpt-5", "openai"), Call("nope"), Call("o3", None, tier="flex")])
    expected = price(CARD, calls).record_batch()
    encoded = replace(calls, provider=calls.provider.dictionary_encode(), model=calls.model.dictionary_encode())
    chunked = replace(
        calls,
        model=pa.chunked_array([calls.model[:1].dictionary_encode(), calls.model[1:].dictionary_encode()]),
        provider=pa.chunked_array([calls.provider.cast(pa.large_utf8())]),
    )
    assert price(CARD, encoded).record_batch() == expected
    assert price(CARD, chunked).record_batch().to_pylist() == expected.to_pylist()


def test_thousands_of_unknown_names_in_one_batch() -> None:
    calls = [Call(f"model-{n}", f"provider-{n % 700}", tier=f"tier-{n % 11}") for n in range(3_000)]
    rows = priced(CARD, *calls, Call("gpt-5", "openai"))
    assert {row.price_status for row in rows[:-1]} == {"unpriced"}
    assert rows[-1] == one(Call("gpt-5", "openai"))


def test_empty_batch() -> None:
    empty = price(CARD, columns([])).record_batch()
    assert empty.num_rows == 0
    assert empty.schema == price(CARD, columns([Call("gpt-5")])).record_batch().schema


def test_usage_columns_are_read_by_name() -> None:
    row: dict[str, object] = {
        **dict.fromkeys(USAGE_COLUMNS.names),
        **{name: 0 for name in USAGE_COLUMNS.names if name.endswith("_tokens")},
        "event_id": "e",
        "source": "s",
        "occurred_at": NOW,
        "model": "gpt-5",
        "provider": "openai",
        "status": "ok",
        "gateway_cache_hit": False,
        "attempt": 1,
        "meters": [],
        "tags": [],
        "input_tokens": 1_000_000,
    }
    events = pa.Table.from_pylist([row, {**row, "meters": [("searches", 2)]}], USAGE_COLUMNS)
    first, second = price(CARD, CallColumns.from_usage(events)).record_batch().to_pylist()
    assert (first["cost_nanousd"], first["price_note"]) == (1_250_000_000, None)
    assert second["price_note"] == "meters_not_priced"
    sliced = price(CARD, CallColumns.from_usage(events.slice(1))).record_batch().to_pylist()
    assert sliced == [second]

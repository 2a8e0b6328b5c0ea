"""Our integers against genai-prices' own arithmetic: every model, every date and hour, tier edge and kind of token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cache

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, Provider, TieredPrices
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.prices.card import RateCard
from schemas.prices.catalogue import DAY_US, EPOCH, boundaries
from schemas.prices.providers import provider_id
from schemas.usage import MAX_TOKENS
from tests.schemas.prices.batches import NOW, Call, Row, Tokens, priced

CONTEXTS: dict[str, dict[str, str]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
PRICED_UNITS = {
    *("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"),
    *("output_mtok", "output_reasoning_mtok", "requests_kcount"),
}
OTHER_UNITS = {
    *("web_searches_kcount", "storage_searches_kcount", "output_citation_mtok"),
    *("audio_hours", "input_audio_hours", "input_mchars", "input_text_messages_kcount"),
    *("input_document_kpages", "input_annotated_document_kpages"),
    *("input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok"),
    *("input_image_mtok", "output_image_mtok", "cache_image_read_mtok"),
    *("input_video_mtok", "output_video_mtok"),
}
"""Units that events report as meters, or do not tell apart; pricing them needs more than token counts."""

BILLED_IN_OTHER_UNITS = {
    *("groq/canopylabs/orpheus-arabic-saudi", "groq/canopylabs/orpheus-v1-english"),
    *("groq/whisper-large-v3", "groq/whisper-large-v3-turbo"),
    *("mistral/mistral-ocr-2503", "mistral/mistral-ocr-2505", "mistral/mistral-ocr-2512"),
    *("mistral/mistral-ocr-4-0", "mistral/mistral-ocr-4-1", "mistral/mistral-ocr-latest"),
    *("mistral/voxtral-mini-2602", "mistral/voxtral-mini-transcribe-3-0"),
    *("mistral/voxtral-mini-transcribe-realtime-2602", "mistral/voxtral-mini-transcribe-realtime-3-0"),
    "mistral/voxtral-small-transcribe-3-0",
    *("openai/gpt-live-1", "openai/gpt-live-transcribe", "openai/gpt-realtime-translate"),
    *("openai/gpt-realtime-whisper", "openai/gpt-transcribe", "openai/tts-1", "openai/tts-1-hd", "openai/whisper-1"),
    *("x-ai/grok-voice-latest", "x-ai/grok-voice-think-fast-1.0", "x-ai/grok-voice-think-fast-2.0"),
}
FINE_RATES = Decimal(1).scaleb(-15)
"""Rates are exact up to this many USD per million tokens; finer ones are rounded to it."""


@dataclass(frozen=True)
class Reachable:
    """A model and a name that genai-prices resolves to it."""

    provider: Provider
    model: ModelInfo
    name: str

    @property
    def key(self) -> str:
        return f"{self.provider.id}/{self.model.id}"


@pytest.fixture(scope="module")
def card() -> RateCard:
    return RateCard.compile()


def clause_texts(clause: object) -> Iterator[str]:
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            for inner in value:
                yield from clause_texts(inner)


@cache
def reachable() -> tuple[tuple[Reachable, ...], tuple[str, ...]]:
    """All models with a name that resolves to them, and the keys of those that an earlier one shadows."""
    found, shadowed = [], []
    for provider in providers:
        for model in provider.models:
            names = (model.id, *clause_texts(model.match))
            name = next((n for n in names if provider.find_model(n, all_providers=providers) is model), None)
            if name is None:
                shadowed.append(f"{provider.id}/{model.id}")
            else:
                found.append(Reachable(provider, model, name))
    return tuple(found), tuple(shadowed)


def price_lists(model: ModelInfo) -> Iterator[ModelPrice]:
    """Every price of a model, whatever its conditions."""
    conditional: list[ConditionalPrice | PriceVariant] = list(model.price_variants or ())
    if isinstance(model.prices, ModelPrice):
        yield model.prices
    else:
        conditional.extend(model.prices)
    yield from (each.prices for each in conditional)


def listed(prices: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    return {key: value for key, value in prices.__dict__.items() if value is not None}


def flat(rate: Decimal | TieredPrices) -> list[Decimal]:
    return [rate.base, *(tier.price for tier in rate.tiers)] if isinstance(rate, TieredPrices) else [rate]


def tier_starts(model: ModelInfo) -> list[int]:
    rates = [rate for prices in price_lists(model) for rate in listed(prices).values()]
    return sorted({tier.start for rate in rates if isinstance(rate, TieredPrices) for tier in rate.tiers})


def moments(model: ModelInfo) -> list[datetime]:
    """Both sides of every moment at which the price changes, and a plain day."""
    edges = boundaries(model)
    dates = [EPOCH + timedelta(microseconds=us) for us in edges.instants]
    days = [datetime(2025, 3, 3, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)]
    hours = [day + timedelta(microseconds=us) for us in edges.times_of_day for day in days]
    tick = timedelta(microseconds=1)
    return [NOW, *(edge - tick for edge in dates + hours), *(edge for edge in dates + hours)]


def token_mixes(total: int) -> list[Tokens]:
    """Each kind of token alone, and all of them, with ``total`` input tokens; odd counts, to need rounding."""
    third, ninth = total // 3, total // 9
    return [
        Tokens(input=total, output=777),
        Tokens(input=total, cache_read=third, output=13),
        Tokens(input=total, cache_write=third),
        Tokens(input=total, cache_write=third, cache_write_1h=ninth, output=1),
        Tokens(total, third, third, ninth, 1_001, 333),
    ]


def calls_of(one: Reachable) -> Iterator[Call]:
    totals = [1_237, *(edge for start in tier_starts(one.model) for edge in (start, start + 1))]
    tiers = list(CONTEXTS) if one.model.price_variants else ["standard"]
    for at in moments(one.model):
        for tier in tiers:
            for total in totals:
                for tokens in token_mixes(total):
                    yield Call(one.name, one.provider.id, tokens, at, tier)


def reference(call: Call) -> tuple[Decimal, Decimal, Decimal]:
    """genai-prices' (total, input, output) in nano-dollars."""
    tokens = call.tokens
    result = calc_price(
        Usage(
            input_tokens=tokens.input,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
            cache_write_1h_tokens=tokens.cache_write_1h,
            output_tokens=tokens.output,
            output_reasoning_tokens=tokens.reasoning,
        ),
        call.model,
        provider_id=call.provider,
        genai_request_timestamp=call.at,
        price_context=CONTEXTS[call.tier or "standard"],
    )
    return result.total_price * 10**9, result.input_price * 10**9, result.output_price * 10**9


def too_fine(model: ModelInfo) -> bool:
    rates = [rate for prices in price_lists(model) for value in listed(prices).values() for rate in flat(value)]
    return any(rate % FINE_RATES for rate in rates)


def assert_equal(call: Call, row: Row, fine: bool) -> None:
    total, into, out = reference(call)
    assert row.cost_nanousd is not None, f"{call} is unpriced ({row.price_note}), genai-prices says {total} nano-USD"
    if fine:
        assert abs(row.cost_nanousd - total) <= Decimal("0.5001"), f"{call}: {row.cost_nanousd}, not {total}"
    else:
        assert row.cost_nanousd == total.quantize(Decimal(1), ROUND_HALF_UP), f"{call}: {row.cost_nanousd}, not {total}"
    parts = row.parts()
    assert sum(parts) == row.cost_nanousd
    assert min(parts) >= 0
    if into + out == total:  # else a fee per request, which genai-prices counts on neither side
        assert abs(sum(parts[:3]) - into) < 1
        assert abs(parts[3] - out) < 1


def test_provider_ids_stand_for_themselves() -> None:
    renamed = {p.id: provider_id(p.id) for p in providers if provider_id(p.id) != p.id}
    assert not renamed, f"our alias table shadows genai-prices providers: {renamed}"


def test_every_unit_of_the_price_data_is_known() -> None:
    units = {
        key for provider in providers for model in provider.models for p in price_lists(model) for key in listed(p)
    }
    unknown = units - PRICED_UNITS - OTHER_UNITS
    assert not unknown, (
        f"genai-prices prices {unknown} now: price them in schemas/prices/catalogue.py or list them here"
    )


def test_rates_finer_than_the_unit_are_float_residue() -> None:
    """A rate beyond 15 decimals is a fraction such as 1/12; rounding it moves MAX_TOKENS by under 1e-4 nano-USD."""
    rates = [
        rate
        for provider in providers
        for model in provider.models
        for prices in price_lists(model)
        for key, value in listed(prices).items()
        if key.endswith("_mtok")
        for rate in flat(value)
    ]
    errors = [abs(rate - rate.quantize(FINE_RATES, ROUND_HALF_EVEN)) * MAX_TOKENS / 10**6 * 10**9 for rate in rates]
    assert max(errors) < Decimal("1e-4")


def test_every_model_at_every_edge_equals_genai_prices(card: RateCard) -> None:
    models, shadowed = reachable()
    assert len(models) + len(shadowed) == sum(len(p.models) for p in providers)
    unpriced: set[str] = set()
    compared: set[str] = set()
    calls = [(one, call) for one in models for call in calls_of(one)]
    rows = priced(card, *(call for _, call in calls))
    fine = {one.key: too_fine(one.model) for one in models}
    for (one, call), row in zip(calls, rows, strict=True):
        assert row.price_key == one.key
        if row.price_status == "unpriced":
            assert row.price_note == "no_token_rates"
            unpriced.add(one.key)
        else:
            assert_equal(call, row, fine[one.key])
            compared.add(one.key)
    # What we refuse to price is exactly what lists no rate for input tokens and is not offered free by name.
    rateless = {one.key for one in models if any("input_mtok" not in listed(p) for p in standard_prices(one.model))} - {
        one.key for one in models if one.model.id.endswith(":free")
    }
    assert unpriced == rateless
    in_other_units = {one.key for one in models if one.key in unpriced and any(map(listed, standard_prices(one.model)))}
    assert in_other_units - BILLED_IN_OTHER_UNITS == set(), "new models billed by something else than tokens: list them"
    assert len(compared) > 2_000


def standard_prices(model: ModelInfo) -> list[ModelPrice]:
    return [model.prices] if isinstance(model.prices, ModelPrice) else [each.prices for each in model.prices]


def test_resellers_without_a_price_list_charge_the_origin_price(card: RateCard) -> None:
    for asked, owner in (("azure", "openai"), ("google", "anthropic")):
        reseller = next(p for p in providers if p.id == asked)
        borrowed = [
            one
            for one in reachable()[0]
            if one.provider.id == owner and reseller.find_model(one.name, all_providers=providers) is one.model
        ]
        calls = [
            Call(one.name, asked, mix, tier=tier) for one in borrowed for mix in token_mixes(1_237) for tier in CONTEXTS
        ]
        assert calls
        for call, row in zip(calls, priced(card, *calls), strict=True):
            if row.price_status == "unpriced":
                continue
            assert row.price_context == "standard"
            assert row.price_note is not None
            assert_equal(call, row, fine=True)


def test_without_a_provider_the_model_alone_decides_as_in_genai_prices(card: RateCard) -> None:
    calls = [Call(one.name, None, token_mixes(1_237)[-1]) for one in reachable()[0]]
    agreed = 0
    for call, row in zip(calls, priced(card, *calls), strict=True):
        try:
            reference(call)
        except LookupError:
            continue
        if row.price_note != "no_token_rates":
            assert_equal(call, row, fine=True)
            agreed += 1
    assert agreed > 400


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_counts_of_any_model(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(reachable()[0]))
    counts = st.integers(0, MAX_TOKENS)
    total, output = data.draw(counts), data.draw(counts)
    read = data.draw(st.integers(0, total))
    write = data.draw(st.integers(0, total - read))
    tokens = Tokens(total, read, write, data.draw(st.integers(0, write)), output, data.draw(st.integers(0, output)))
    at = EPOCH + timedelta(microseconds=data.draw(st.integers(20_000 * DAY_US, 21_000 * DAY_US)))
    call = Call(one.name, one.provider.id, tokens, at, data.draw(st.sampled_from(list(CONTEXTS))))
    (row,) = priced(shared_card(), call)
    if row.price_status != "unpriced":
        assert_equal(call, row, too_fine(one.model))


@cache
def shared_card() -> RateCard:
    return RateCard.compile()

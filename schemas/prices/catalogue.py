"""genai-prices' bundled data in, the price of a model at a moment out; nothing here is called per event.

Only data and matching are taken from genai-prices. Three things it does silently are said here: a service tier without
a price, or with a price from a later date only, falls back to the standard price; a model without rates costs zero; a
reseller without a price list borrows that of the model's own provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from schemas.control.base import moment_us
from schemas.prices.matching import Models
from schemas.prices.notes import PriceContext, PriceNote
from schemas.prices.providers import provider_id
from schemas.prices.rates import (
    BASE_TIER,
    MeterNotes,
    Rates,
    Resolved,
    TierRates,
    Unpriced,
    UsdRates,
    missing_rate_notes,
)
from schemas.prices.units import ZeptoUSD, zepto_per_request

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000

Price: TypeAlias = Decimal | TieredPrices

_KEYS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
_REQUESTS = "requests_kcount"
_BILLED_BY_METER = frozenset({"web_searches_kcount", "storage_searches_kcount"})
"""Units that only a call with that meter is charged for; such a call says ``meters_not_priced`` itself."""

_PRICE_CONTEXTS: dict[PriceContext, dict[str, str]] = {
    PriceContext.STANDARD: {},
    PriceContext.BATCH: {"processing": "batch"},
    PriceContext.FLEX: {"service_tier": "flex"},
    PriceContext.PRIORITY: {"service_tier": "priority"},
    # Providers name their fast mode under either key; a variant needs only the keys that it names.
    PriceContext.FAST: {"service_tier": "fast", "speed": "fast"},
}


@dataclass(frozen=True, slots=True)
class Match:
    """A model of the catalogue: ``provider`` serves it, ``owner`` lists its price."""

    provider: Provider
    owner: Provider
    model: ModelInfo

    @property
    def borrowed(self) -> bool:
        """The provider that serves the model lists no price of its own for it."""
        return self.owner is not self.provider

    @property
    def price_key(self) -> str:
        """``provider/model`` of the price list that applies."""
        return f"{self.owner.id}/{self.model.id}"


@dataclass(frozen=True, slots=True)
class Boundaries:
    """When a price can change: instants (µs since the epoch, UTC) and times of day (µs since midnight UTC)."""

    instants: tuple[int, ...] = ()
    times_of_day: tuple[int, ...] = ()


class UnsupportedConstraintError(TypeError):
    """genai-prices has a kind of price condition that this catalogue does not know."""


class Catalogue:
    """Read-only view of genai-prices' providers. Keeps no cache: the rate card memoises."""

    def __init__(self, providers: list[Provider]) -> None:
        self._providers = providers
        self._models = Models(providers)

    def canonical(self) -> Iterator[str]:
        """Every datum that decides a match or a price, as lines in a fixed order; equal in every process."""
        for provider in self._providers:
            yield repr((provider.id, provider.model_match, provider.provider_match, provider.fallback_model_providers))
            for model in provider.models:
                yield repr((model.id, model.match, model.prices, model.price_variants))

    def find(self, provider: str | None, model: str) -> Match | PriceNote:
        """The model that a provider name and a model name mean, by genai-prices' rules, or why there is none."""
        name, wanted = model.strip().lower(), provider_id(provider)
        if wanted is None:
            direct = self._serving(name)
            if direct is not None and not isinstance(found := self._model(direct, name), PriceNote):
                return found
            # Gateways write the provider before the model: "anthropic/claude-sonnet-4-5".
            prefix, slash, rest = name.partition("/")
            owner = find_provider_by_id(self._providers, provider_id(prefix) or "") if slash else None
            if owner is None:
                return PriceNote.MODEL_UNKNOWN
            return self._model(owner, rest)
        known = find_provider_by_id(self._providers, wanted)
        return PriceNote.PROVIDER_UNKNOWN if known is None else self._model(known, name)

    def _serving(self, name: str) -> Provider | None:
        return next((p for p in self._providers if p.model_match is not None and p.model_match.is_match(name)), None)

    def _model(self, provider: Provider, name: str) -> Match | PriceNote:
        model = self._models.find(provider, name)
        if model is None:
            return PriceNote.MODEL_UNKNOWN
        owner = next(p for p in (provider, *self._providers) if any(model is own for own in p.models))
        return Match(provider, owner, model)


def boundaries(model: ModelInfo) -> Boundaries:
    """When the price of a model can change, over all its contexts."""
    instants: set[int] = set()
    times: set[int] = set()
    conditional: list[ConditionalPrice | PriceVariant] = list(model.price_variants or ())
    if not isinstance(model.prices, ModelPrice):
        conditional.extend(model.prices)
    for price in conditional:
        match price.constraint:
            case None:
                pass
            case StartDateConstraint(start_date=day):
                instants.add(moment_us(datetime.combine(day, time(), UTC)))
            case TimeOfDateConstraint(start_time=start, end_time=end):
                for edge in (start, end):
                    at = datetime.combine(EPOCH, edge, edge.tzinfo or UTC)
                    times.add(moment_us(at) % DAY_US)
            case other:
                raise UnsupportedConstraintError(f"{model.id} has a price condition {other!r} that is not handled here")
    return Boundaries(tuple(sorted(instants)), tuple(sorted(times)))


def rates_at(match: Match, instant_us: int, context: PriceContext) -> Resolved:
    """What the catalogue charges at a moment, in a context; a context without a price falls back and says so."""
    at = EPOCH + timedelta(microseconds=instant_us)
    model, asked = match.model, _PRICE_CONTEXTS[context]
    standard = model.get_prices(at)
    fitting = [] if match.borrowed or not asked else [v for v in model.price_variants or () if _fits(v, asked)]
    active = [v for v in fitting if v.constraint is None or v.constraint.active(at)]
    prices = model.get_prices(at, asked) if active else standard
    listed = {key for key, value in prices.__dict__.items() if value is not None}
    fallback = None
    if asked and not active:
        fallback = PriceNote.CONTEXT_NOT_YET_PRICED if fitting else PriceNote.CONTEXT_UNKNOWN
    elif asked and _KEYS["input"] not in _named(active) and _named(active):
        fallback = PriceNote.CONTEXT_PARTIAL
    remark, fee = _remark(match, listed), ZeptoUSD(0)
    tiers: tuple[TierRates, ...]
    if not listed and model.id.lower().endswith(":free"):
        zero = UsdRates(*[Decimal(0)] * 6)
        tiers, notes, fallback, remark = (zero.tier(BASE_TIER),), MeterNotes(), None, PriceNote.LISTED_FREE
    elif _KEYS["input"] not in listed:
        return Unpriced(PriceNote.NO_TOKEN_RATES, match.price_key)
    else:
        tiers, notes = _tiers(prices), _notes(listed, active)
        if isinstance(per_request := getattr(prices, _REQUESTS), Decimal):
            fee = zepto_per_request(per_request)
    return Rates(
        price_key=match.price_key,
        context=context if active else PriceContext.STANDARD,
        tiers=tiers,
        fallback=fallback,
        meter_notes=notes,
        remark=remark,
        request_fee=fee,
    )


def _fits(variant: PriceVariant, asked: dict[str, str]) -> bool:
    return all(asked.get(key) == value for key, value in variant.when.items())


def _named(variants: list[PriceVariant]) -> set[str]:
    return {key for variant in variants for key, value in variant.prices.__dict__.items() if value is not None}


def _tiers(prices: ModelPrice) -> tuple[TierRates, ...]:
    values: dict[str, Price | None] = {name: getattr(prices, key) for name, key in _KEYS.items()}
    starts = {tier.start for value in values.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    # Every rate is read at each start of any of them, so rates whose tiers differ still resolve exactly.
    return tuple(_usd(values, above).tier(above) for above in (BASE_TIER, *sorted(starts)))


def _usd(values: dict[str, Price | None], above: int) -> UsdRates:
    rates = {name: _rate_above(value, above) for name, value in values.items() if value is not None}
    return UsdRates(
        input=rates["input"],
        cache_read=rates.get("cache_read"),
        cache_write=rates.get("cache_write"),
        cache_write_1h=rates.get("cache_write_1h"),
        output=rates.get("output"),
        reasoning=rates.get("reasoning"),
    )


def _rate_above(value: Price, above: int) -> Decimal:
    if not isinstance(value, TieredPrices):
        return value
    return next((tier.price for tier in reversed(value.tiers) if above >= tier.start), value.base)


def _notes(listed: set[str], active: list[PriceVariant]) -> MeterNotes:
    missing = missing_rate_notes(lambda name: _KEYS[name] in listed)
    named = _named(active)
    if not named:
        return missing

    # A context that leaves a listed rate out keeps the standard one for it: only calls that use it are told so.
    def note(name: str, otherwise: PriceNote | None) -> PriceNote | None:
        key = _KEYS[name]
        return PriceNote.CONTEXT_PARTIAL if key in listed and key not in named else otherwise

    return MeterNotes(
        cache_read=note("cache_read", missing.cache_read),
        cache_write=note("cache_write", missing.cache_write),
        cache_write_1h=note("cache_write_1h", missing.cache_write_1h),
        output=note("output", missing.output),
    )


def _remark(match: Match, listed: set[str]) -> PriceNote | None:
    if _REQUESTS in listed:
        return PriceNote.REQUEST_FEE_IN_INPUT
    if listed - set(_KEYS.values()) - _BILLED_BY_METER:
        return PriceNote.TEXT_RATES_ONLY
    return PriceNote.ORIGIN_PROVIDER_PRICE if match.borrowed else None

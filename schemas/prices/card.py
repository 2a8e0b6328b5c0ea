"""genai-prices and overrides in, one versioned rate card out: it resolves what a kind of call costs at a moment.

Nothing here runs per event. Pricing groups a batch into kinds of call (provider, model, response model, service tier)
and asks once per kind and *stretch*: the time between two moments at which that kind's price can change. Those moments
come from the data (start dates, daily off-peak hours, overrides), so the answer is exact, not per day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

import genai_prices
from genai_prices.data import providers as bundled_providers

from schemas.prices.catalogue import DAY_US, Boundaries, Catalogue, Match, boundaries, rates_at
from schemas.prices.notes import PriceContext, PriceNote, context_of
from schemas.prices.overrides import DatedOverride, PriceOverride, date_overrides
from schemas.prices.providers import ALIASES, GATEWAYS, provider_id
from schemas.prices.rates import Rates, Resolved, Unpriced
from schemas.prices.units import zepto_per_token

FORMAT = 1
"""Raised when the same data would be priced differently by new code; part of the hash."""
MAX_KINDS = 50_000
"""Kinds of call remembered, about 1 kB each; senders that invent model names must not grow memory without end."""


@dataclass(frozen=True, slots=True)
class Provisional:
    """What an unpriced call is held to cost against caps, USD per million tokens. The hash covers it."""

    input: Decimal = Decimal(10)
    output: Decimal = Decimal(40)

    def __post_init__(self) -> None:
        zepto_per_token(self.input)
        zepto_per_token(self.output)


@dataclass(frozen=True, slots=True)
class CallKind:
    """What decides the price of a call, besides its time and its tokens; as the event says it."""

    provider: str | None
    model: str
    response_model: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where the price of one kind of call comes from, at any time."""

    match: Match | PriceNote
    overrides: tuple[DatedOverride, ...]
    asked: PriceContext | None
    """None: a service tier that nobody knows."""
    boundaries: Boundaries
    by_request: bool
    """The catalogue knows the model asked for, but not the one that answered."""

    def stretch(self, instant_us: int) -> tuple[int, int]:
        """Which stretch of unchanging price a moment lies in."""
        return (
            bisect_right(self.boundaries.instants, instant_us),
            bisect_right(self.boundaries.times_of_day, instant_us % DAY_US),
        )

    def at(self, instant_us: int) -> Resolved:
        """First of: override for the tier, override for any, catalogue for the tier; else both at standard."""
        asked = self.asked or PriceContext.STANDARD
        active = [one for one in self.overrides if one.from_us <= instant_us < one.to_us]
        for wanted in (asked.value, "any"):
            for one in active:
                if one.override.context == wanted and (self.asked or wanted == "any"):
                    return one.rates(asked)
        listed: Resolved = (
            Unpriced(self.match) if isinstance(self.match, PriceNote) else rates_at(self.match, instant_us, asked)
        )
        if self.by_request:
            listed = _said(listed, PriceNote.RESPONSE_MODEL_UNKNOWN)
        if isinstance(listed, Rates) and listed.context is asked and self.asked:
            return listed
        for one in active:
            if one.override.context == "standard":
                listed = one.rates(asked)
                break
        return listed if self.asked else _said(listed, PriceNote.CONTEXT_UNKNOWN)


def _said(resolved: Resolved, note: PriceNote) -> Resolved:
    if isinstance(resolved, Unpriced) or resolved.fallback is not None:
        return resolved
    return replace(resolved, fallback=note)


@dataclass(frozen=True)
class RateCard:
    """Prices of one genai-prices release and one set of overrides. Immutable, but remembers past answers."""

    version: str
    """Such as ``genai-prices 0.2.3+overrides:3``."""
    sha256: str
    """Over every datum that decides a price: catalogue, overrides, provider names, provisional price."""
    provisional: Provisional
    _catalogue: Catalogue = field(repr=False)
    _overrides: tuple[DatedOverride, ...] = field(repr=False)
    _routes: dict[CallKind, Route] = field(default_factory=dict, repr=False, compare=False)
    _prices: dict[tuple[CallKind, int, int], Resolved] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def compile(cls, overrides: Sequence[PriceOverride] = (), provisional: Provisional = Provisional()) -> RateCard:
        """A card from the bundled data of the installed genai-prices. Raises OverrideConflictError. Uses no network."""
        catalogue, dated = Catalogue(bundled_providers), date_overrides(overrides)
        digest = hashlib.sha256(f"format {FORMAT}\n".encode())
        for line in catalogue.canonical():
            digest.update(line.encode() + b"\n")
        for line in sorted(override.canonical() for override in overrides):
            digest.update(line.encode() + b"\n")
        held = (zepto_per_token(provisional.input), zepto_per_token(provisional.output))
        digest.update(repr((sorted(ALIASES.items()), sorted(GATEWAYS), held)).encode())
        version = f"genai-prices {genai_prices.__version__}+overrides:{len(overrides)}"
        return cls(version, digest.hexdigest(), provisional, catalogue, dated)

    @cached_property
    def label(self) -> str:
        """Version and the first 12 digits of the hash: what each priced row carries."""
        return f"{self.version}#{self.sha256[:12]}"

    def route(self, kind: CallKind) -> Route:
        """Where the price of a kind of call comes from; remembered."""
        known = self._routes.get(kind)
        if known is None:
            if len(self._routes) >= MAX_KINDS:
                self._routes.clear()
                self._prices.clear()
            known = self._routes[kind] = self._find(kind)
        return known

    def resolve(self, kind: CallKind, instant_us: int) -> Resolved:
        """The price of a kind of call at a moment (µs since the epoch, UTC); remembered per stretch."""
        route = self.route(kind)
        key = (kind, *route.stretch(instant_us))
        known = self._prices.get(key)
        if known is None:
            known = self._prices[key] = route.at(instant_us)
        return known

    def _find(self, kind: CallKind) -> Route:
        names = [name for name in (kind.response_model, kind.model) if name]
        found: Match | PriceNote = PriceNote.MODEL_UNKNOWN
        for name in names:
            # The model that answered is what is billed; the one asked for stands in where it is not known.
            found = self._catalogue.find(kind.provider, name)
            if isinstance(found, Match):
                break
        by_request = bool(kind.response_model) and isinstance(found, Match) and name != kind.response_model
        providers = [provider_id(kind.provider) or ""]
        spellings = [name.strip().lower() for name in names]
        if isinstance(found, Match):
            spellings.append(found.model.id.lower())
            providers.append(found.provider.id)
        overrides = tuple(one for one in self._overrides if one.fits(providers, spellings))
        listed = boundaries(found.model) if isinstance(found, Match) else Boundaries()
        instants = {*listed.instants, *(us for one in overrides for us in (one.from_us, one.to_us))}
        dated = Boundaries(tuple(sorted(instants)), listed.times_of_day)
        return Route(found, overrides, context_of(kind.service_tier), dated, by_request)

"""In: prices that people write, with dates. Out: the rates that hold for a model at a moment, ahead of genai-prices.

Append-only: a new price is a new record with a later ``valid_from``; while it holds it covers an open one of the same
key. An explicit ``valid_to`` beyond the next ``valid_from`` is refused: two prices would then claim the same moment.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from schemas.control.base import Id, Moment, Record, Text, moment_us
from schemas.prices.notes import PriceContext, PriceNote
from schemas.prices.providers import provider_id
from schemas.prices.rates import BASE_TIER, Rates, UsdRates, missing_rate_notes
from schemas.prices.units import MAX_USD_PER_MTOK

_OPTIONAL = ("cache_read", "cache_write", "cache_write_1h", "reasoning")
FOREVER_US = 2**63 - 1


def _exact(value: object) -> object:
    if isinstance(value, bool | float):
        raise ValueError(f'{value!r} is not an exact amount: write it in quotes, such as "0.1"')
    return value


def _chargeable(value: Decimal) -> Decimal:
    if value > MAX_USD_PER_MTOK:
        raise ValueError(f"{value} USD per million tokens is more than {MAX_USD_PER_MTOK}: check the unit")
    if value != round(value, 15):
        raise ValueError(f"{value} has more than 15 decimals: round it")
    return value


Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0), AfterValidator(_chargeable)]
"""USD per million tokens, written as a string or a whole number; never a float."""

ModelPattern = Annotated[
    str, StringConstraints(pattern=r"^[^\s*]{1,255}\*?$", to_lower=True, strip_whitespace=True, max_length=256)
]
"""A model's name, or the beginning of one followed by ``*``; upper and lower case are the same."""


class OverrideRates(Record):
    """USD per million tokens. Left out: cache at the input rate, 1h writes at the write rate, reasoning as output."""

    input: Usd
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    output: Usd
    reasoning: Usd | None = None

    @model_validator(mode="after")
    def _write_before_1h(self) -> OverrideRates:
        if self.cache_write_1h is not None and self.cache_write is None:
            raise ValueError("cache_write_1h has a rate but cache_write has none: give both")
        return self

    def named(self) -> frozenset[str]:
        """The optional rates that are given."""
        return frozenset(name for name in _OPTIONAL if getattr(self, name) is not None)

    def usd(self) -> UsdRates:
        """The same figures without the validation."""
        return UsdRates(self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.output, self.reasoning)


class LongContextTier(OverrideRates):
    """Rates for all tokens of a call whose total input exceeds ``above_input_tokens``."""

    above_input_tokens: int = Field(gt=0, strict=True)


class PriceOverride(Record):
    """One price of one model (or of all whose names begin alike) from a date on. `context` any holds for every tier."""

    kind: Literal["price"] = "price"
    id: Id
    provider: Text | None = None
    model: ModelPattern
    context: Literal["standard", "batch", "flex", "priority", "fast", "any"] = "standard"
    valid_from: Moment
    valid_to: Moment | None = Field(
        default=None, description="Exclusive: the first moment at which it no longer holds."
    )
    rates: OverrideRates
    long_context: tuple[LongContextTier, ...] = ()
    source: Text = Field(description="Where the figure stands: a contract, a price page, a ticket.")
    note: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> PriceOverride:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to.isoformat()} is not after valid_from {self.valid_from.isoformat()}"
            )
        starts = [tier.above_input_tokens for tier in self.long_context]
        if starts != sorted(set(starts)):
            raise ValueError(f"long_context tiers must rise by above_input_tokens without repeats; got {starts}")
        for tier in self.long_context:
            if tier.named() != self.rates.named():
                raise ValueError(
                    f"long_context above {tier.above_input_tokens} names {_list(tier.named())}, "
                    f"rates names {_list(self.rates.named())}: name the same ones"
                )
        return self

    @property
    def key(self) -> tuple[str, str, str]:
        """Provider (``*`` for any), model pattern and context: two records of one key may not overlap."""
        return (provider_id(self.provider) or "*", self.model, self.context)

    def canonical(self) -> str:
        """What the record decides, as one line: equal prices give equal lines, whatever their source and note say."""
        fields = self.model_dump(mode="json", exclude={"source", "note", "kind"}, exclude_none=True)
        return json.dumps({**fields, "key": self.key}, sort_keys=True)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "no optional rate"


class OverrideConflictError(ValueError):
    """Two overrides of one key claim the same moment; the message names both and says what to change."""


@dataclass(frozen=True, slots=True)
class DatedOverride:
    """An override, its span [from_us, to_us) in µs since the epoch, and how specific it is."""

    override: PriceOverride
    from_us: int
    to_us: int
    rank: tuple[bool, int, bool]
    """Whole names before beginnings, longer before shorter, with a provider before without."""

    def rates(self, asked: PriceContext) -> Rates:
        """The override's price as it is charged to a call that asked for a context."""
        override = self.override
        named = override.rates.named() | {"input", "output"}
        provider, model, context = override.key
        return Rates(
            price_key=f"override:{override.id}:{provider}/{model}",
            context=asked if context == "any" else PriceContext(context),
            tiers=(
                override.rates.usd().tier(BASE_TIER),
                *(tier.usd().tier(tier.above_input_tokens) for tier in override.long_context),
            ),
            fallback=PriceNote.CONTEXT_UNKNOWN if context not in ("any", asked) else None,
            meter_notes=missing_rate_notes(named.__contains__),
        )

    def fits(self, providers: Sequence[str], names: Sequence[str]) -> bool:
        """Whether it is about a call known by any of these provider ids and (lower-case) model names."""
        provider, model, _ = self.override.key
        if provider != "*" and provider not in providers:
            return False
        prefix = model.removesuffix("*")
        return model in names if prefix == model else any(name.startswith(prefix) for name in names)


def date_overrides(overrides: Sequence[PriceOverride]) -> tuple[DatedOverride, ...]:
    """All overrides with their spans, the most specific and then the latest first. Raises OverrideConflictError."""
    by_key: defaultdict[tuple[str, str, str], list[PriceOverride]] = defaultdict(list)
    for override in overrides:
        by_key[override.key].append(override)
    dated: list[DatedOverride] = []
    for key, family in by_key.items():
        family.sort(key=lambda one: (one.valid_from, one.id))
        for earlier, later in pairwise(family):
            if earlier.valid_from == later.valid_from or (earlier.valid_to or later.valid_from) > later.valid_from:
                raise OverrideConflictError(
                    f"price overrides {earlier.id!r} and {later.id!r} both price {'/'.join(key[:2])} ({key[2]}) from "
                    f"{later.valid_from.isoformat()}: end {earlier.id!r} by then (valid_to), or drop one of them"
                )
        for override in family:
            end = FOREVER_US if override.valid_to is None else moment_us(override.valid_to)
            model = override.model
            rank = (not model.endswith("*"), len(model.removesuffix("*")), key[0] != "*")
            dated.append(DatedOverride(override, moment_us(override.valid_from), end, rank))
    # The key settles the order among equals, so that it does not depend on how the records arrived.
    return tuple(sorted(dated, key=lambda one: (*(-int(part) for part in one.rank), one.override.key, -one.from_us)))
